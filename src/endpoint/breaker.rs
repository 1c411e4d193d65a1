//! ○ Closed, Open, HalfOpen.
