//! ● The line of requests that wait for a place on an endpoint's connections: first come, first served.
//!
//! Only the first one acts, and whoever leaves it first wakes the next: so what one cannot use the others see, and nobody who
//! comes later is before those who wait.

use std::{cell::RefCell, collections::VecDeque, rc::Rc};

use tokio::sync::Notify;

#[derive(Default)]
pub(super) struct Line(RefCell<VecDeque<Rc<Notify>>>);

/// A place in it, until it is dropped.
pub(super) struct Place<'a> {
    line: &'a Line,
    woken: Rc<Notify>,
}

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    pub(super) fn join(&self) -> Place<'_> {
        let woken = Rc::new(Notify::new());
        self.0.borrow_mut().push_back(Rc::clone(&woken));
        Place { line: self, woken }
    }

    /// For one who has been first, and could not do what the first may.
    pub(super) fn join_first(&self) -> Place<'_> {
        let woken = Rc::new(Notify::new());
        self.0.borrow_mut().push_front(Rc::clone(&woken));
        Place { line: self, woken }
    }

    /// It is another thing that they wait for: each looks.
    pub(super) fn wake_all(&self) {
        self.0.borrow().iter().for_each(|waiting| waiting.notify_one());
    }

    /// Something has changed.
    pub(super) fn wake_first(&self) {
        if let Some(first) = self.0.borrow().front() {
            first.notify_one();
        }
    }
}

impl Place<'_> {
    pub(super) fn is_first(&self) -> bool {
        self.line.0.borrow().front().is_some_and(|first| Rc::ptr_eq(first, &self.woken))
    }

    /// Waits for a change, one since it was waited for last included.
    pub(super) async fn changed(&self) {
        self.woken.notified().await;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let was_first = self.is_first();
        self.line.0.borrow_mut().retain(|waiting| !Rc::ptr_eq(waiting, &self.woken));
        if was_first {
            self.line.wake_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn is_woken(place: &Place<'_>) -> bool {
        place.changed().now_or_never().is_some()
    }

    #[test]
    fn only_the_first_is_woken_and_hands_on_when_it_leaves() {
        let line = Line::default();
        let [first, second, third] = [line.join(), line.join(), line.join()];
        line.wake_first();
        assert_eq!([&first, &second, &third].map(is_woken), [true, false, false]);
        drop(second);
        assert_eq!([&first, &third].map(is_woken), [false, false], "the first is still there");
        drop(first);
        assert!(third.is_first() && is_woken(&third));
    }

    #[test]
    fn a_change_is_not_missed_by_who_looks_elsewhere_meanwhile() {
        let line = Line::default();
        let place = line.join();
        line.wake_first();
        line.wake_first();
        assert!(is_woken(&place));
        assert!(!is_woken(&place), "they are one");
        drop(place);
        assert!(line.is_empty());
    }
}
