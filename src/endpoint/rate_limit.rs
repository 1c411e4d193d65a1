//! ○ GCRA by governor, checked, never awaited.
