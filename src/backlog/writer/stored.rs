//! ● Results of rows that were to be stored.

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

/// Receipts of what was stored, and letters of what was refused.
pub(super) fn stored(waiting: Vec<Waiting>, refused: &[(usize, StoreError)]) -> (Vec<Receipt>, Vec<Letter>) {
    let (mut receipts, mut letters) = (Vec::with_capacity(waiting.len()), Vec::new());
    for (place, Waiting { key, customer_id, parked }) in waiting.into_iter().enumerate() {
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
