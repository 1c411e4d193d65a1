//! ○ Event → endpoints: the indexed subscriptions.

pub mod subscription; // topic, tenant list, tenant and departments
pub mod index; // immutable snapshots, cost by matches
pub mod subscribed; // what was matched before, matched again
pub mod full_read; // which rows of a full read still count, while changes go on
