//! ● Where a group's very first start begins.
