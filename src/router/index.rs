//! ○ The subscription index.
