//! ○ Ports of the scheduler: the partitions that this instance owns, and the rows of each head that are in memory.

use std::sync::Arc;

use super::amount::Amount;

/// A partition as long as this instance owns it.
pub trait Assignment {
    fn topic_name(&self) -> Arc<str>;
    fn partition(&self) -> i32;
    /// False once it is another instance's.
    fn is_current(&self) -> bool;
    /// Tells the number of its rows that wait for an endpoint, for those who must not pass them.
    fn count_rows(&self, endpoint_id: &str, rows: u64);
}

/// Rows of one partition that wait for one endpoint, as far as they are in memory. Shared with their receipts.
pub trait Shard: Sized {
    type Assignment: Assignment;
    /// Listener for the results of rows in memory.
    type Events;

    /// A shard of which nothing is in memory. What comes in counts for its endpoint and for all.
    fn begin(
        assignment: &Arc<Self::Assignment>,
        endpoint_id: Arc<str>,
        of_endpoint: Arc<Amount>,
        of_all: Arc<Amount>,
        events: &Self::Events,
    ) -> Arc<Self>;
    /// The same, read from its beginning: nothing of the old one is in memory any more.
    fn renewed(&self) -> Arc<Self>;

    fn topic(&self) -> &Arc<str>;
    fn partition(&self) -> i32;
    fn endpoint_id(&self) -> &Arc<str>;
    /// True if it belongs to this very assignment.
    fn is_of(&self, assignment: &Arc<Self::Assignment>) -> bool;

    fn held_events(&self) -> usize;
    /// True if the row with this offset is in memory.
    fn holds(&self, offset: i64) -> bool;
    /// Nothing more may be read of it: something of it leaves memory, or has left.
    fn is_closing(&self) -> bool;
    /// A key has left memory: its rows are to be found again.
    fn has_key_left(&self) -> bool;
    /// True if it was last read in order.
    fn keeps_order(&self) -> bool;

    fn keep_order(&self, is_ordered: bool);
    /// From now on its rows have the lanes of their keys, or no lanes. False while rows are in memory that came otherwise.
    fn read_by_key(&self, is_by_key: bool) -> bool;
    /// Reading begins, or is over.
    fn is_read(&self, now: bool);
    /// It is to be read from its beginning.
    fn restart(&self);
    /// Records if one of its rows keeps others from being sent; returns true when that has changed.
    fn hold_up(&self, is_held_up: bool) -> bool;
}
