//! ○ Full by events, bytes or age.
