//! What becomes of an event at its router.

use super::*;
use crate::ingest::testing::{ledger, router, tracked};

#[actix_rt::test]
async fn an_event_that_nobody_wants_is_done_and_holds_no_commit() {
    let ledger = ledger();
    let events: Vec<Arc<Event>> = (0..3).map(|offset| tracked(&ledger, offset)).collect();
    assert_eq!(ledger.committable(), Some(0));
    let mut router = router();
    router.match_all(&events);
    router.open(&events);
    assert_eq!(ledger.committable(), Some(3));
    assert_eq!(ledger.outstanding(), (0, 0));
}
