//! ○ When a partition pauses and resumes.
