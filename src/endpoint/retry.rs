//! ○ When an attempt is repeated.
