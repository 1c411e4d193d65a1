//! ○ Events → body and headers.
