//! ○ What one assignment of a partition still owes.
