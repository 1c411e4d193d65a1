//! ● The events that are being handled at this moment on this thread: when that panics, they may be to blame, and what is only in the
//! same hands is not.
//!
//! Without it, one event that nobody can handle would take all that waits with it into the dead letters.

use std::{cell::RefCell, ptr, sync::Arc};

use crate::model::event::Event;

thread_local! {
    /// Addresses of events, for as long as [`Handling`] lives; `None` while nobody says what is handled.
    static SUSPECTS: RefCell<Option<Vec<*const Event>>> = const { RefCell::new(None) };
}

/// These events, and no others, are being handled while this lives. After a panic the others come back as they were.
pub struct Handling(());

impl Handling {
    pub fn of<'a>(events: impl Iterator<Item = &'a Arc<Event>>) -> Self {
        SUSPECTS.with_borrow_mut(|suspects| {
            let suspects = suspects.get_or_insert_default();
            suspects.clear();
            suspects.extend(events.map(Arc::as_ptr));
        });
        Handling(())
    }

    /// It went well: from here on anything may be to blame again.
    pub fn over(self) {
        SUSPECTS.with_borrow_mut(|suspects| *suspects = None);
    }
}

impl Drop for Handling {
    fn drop(&mut self) {
        // In a panic, what was handled is to be known until its receipts are dropped; the next who handles says so.
        if !std::thread::panicking() {
            SUSPECTS.with_borrow_mut(|suspects| *suspects = None);
        }
    }
}

/// True if handling this event may be what went wrong.
#[must_use]
pub fn may_be_to_blame(event: &Arc<Event>) -> bool {
    SUSPECTS.with_borrow(|suspects| {
        suspects.as_ref().is_none_or(|suspects| suspects.iter().any(|suspect| ptr::eq(*suspect, Arc::as_ptr(event))))
    })
}

/// Forgets what was handled when a panic was over.
pub fn forget() {
    SUSPECTS.with_borrow_mut(|suspects| *suspects = None);
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::testing::{TestSource, receipt};

    #[test]
    fn what_waits_beside_an_event_whose_handling_panics_is_not_blamed() {
        let source = TestSource::new();
        let (poison, other) = (receipt(&source, 1, Instant::now()), receipt(&source, 2, Instant::now()));
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _handling = Handling::of([poison.event()].into_iter());
            panic!("nobody can handle it");
        }));
        assert!(panicked.is_err());
        drop((poison, other));
        forget();
        let abandons: Vec<_> = source.abandoned.lock().drain(..).map(|abandoned| abandoned.abandons).collect();
        assert_eq!(abandons, [1, 0]);
        drop(receipt(&source, 3, Instant::now()));
        assert_eq!(source.abandoned.lock()[0].abandons, 1, "where nobody says what was handled, it counts");
    }
}
