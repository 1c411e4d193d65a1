//! ● What happens when partitions come and go.
