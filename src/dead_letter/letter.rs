//! ○ What a dead letter says.
