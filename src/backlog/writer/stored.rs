//! ● Rows that are to be stored, and their results.

use super::Waiting;
use crate::{
    dead_letter::letter::Letter,
    model::{
        disposition::{GivenUp, Reason},
        outcome::AttemptNote,
        receipt::Receipt,
    },
    store::StoreError,
};

/// Rows in the order of their keys, each key once: Postgres refuses a statement that writes a row twice. What was parked
/// twice in one run comes second, for another statement. What is another instance's by now is dropped.
pub(super) fn in_order(mut waiting: Vec<Waiting>) -> (Vec<Waiting>, Vec<Waiting>) {
    waiting.retain(Waiting::is_current);
    waiting.sort_by(|a, b| a.key.cmp(&b.key));
    let (mut once, mut again): (Vec<Waiting>, Vec<Waiting>) = (Vec::with_capacity(waiting.len()), Vec::new());
    for next in waiting {
        match once.last() {
            Some(last) if last.key == next.key => again.push(next),
            _ => once.push(next),
        }
    }
    (once, again)
}

/// Receipts of what was stored, and letters of what was refused. What moved to another instance meanwhile is neither.
pub(super) fn stored(waiting: Vec<Waiting>, refused: &[(usize, StoreError)]) -> (Vec<Receipt>, Vec<Letter>) {
    let (mut receipts, mut letters) = (Vec::with_capacity(waiting.len()), Vec::new());
    let current = waiting.into_iter().enumerate().filter(|(_, waiting)| waiting.is_current());
    for (place, Waiting { key, customer_id, parked }) in current {
        // Its row is counted by now, so nothing of an ordered endpoint slips in between.
        drop(parked.parking);
        let Some((_, error)) = refused.iter().find(|(refused, _)| *refused == place) else {
            receipts.push(parked.receipt);
            continue;
        };
        tracing::error!(endpoint.id = %key.endpoint_id, %error, "an event cannot be stored in the backlog");
        let last = AttemptNote { status: None, class: "internal", excerpt: error.to_string().into() };
        let (receipt, attempts) = (parked.receipt, parked.attempts);
        let given_up = GivenUp { receipt, reason: Reason::Internal, attempts, last: Some(last) };
        letters.push(Letter { endpoint_id: key.endpoint_id, customer_id, given_up });
    }
    (receipts, letters)
}
