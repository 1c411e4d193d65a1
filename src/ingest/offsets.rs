//! ○ The contiguous settled prefix of a partition.
