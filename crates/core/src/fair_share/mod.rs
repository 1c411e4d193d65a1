//! ○ Fair shares of what there is little of: a holder never takes all of it, however much it asks for.

pub mod max_min; // units that cannot be taken back: customers first, their members second
pub mod shares; // amounts: as much as would be left free
pub mod charged; // … of what comes whether there is room or not
pub mod waiting; // … and who is next
pub mod rounds; // customers in turn, each with its members in turn
