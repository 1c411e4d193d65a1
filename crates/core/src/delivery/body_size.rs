//! ○ Size of a batch's body, while it is put together.

use super::buffer::BatchLimits;
use crate::{
    model::{event::Event, receipt::Receipt},
    request,
};

/// An upper bound, which costs no look at the values, until that is too much; from then on what is sent.
#[derive(Debug, Default)]
pub struct BodySize {
    bytes: usize,
    is_exact: bool,
}

impl BodySize {
    /// Adds an event, unless the body would be larger than it may; `before` are those that it has already.
    pub fn add<'a>(&mut self, next: &Event, limits: &BatchLimits, before: impl Iterator<Item = &'a Receipt>) -> bool {
        if limits.bytes_max == usize::MAX {
            return true;
        }
        let at_most = self.bytes + request::sent_bytes_max(next);
        if !self.is_exact && at_most < limits.bytes_max {
            self.bytes = at_most;
            return true;
        }
        let sent = |event: &Event| request::sent_bytes(event, limits.format);
        if !self.is_exact {
            self.bytes = before.map(|receipt| sent(receipt.event())).sum();
            self.is_exact = true;
        }
        let bytes = self.bytes + sent(next);
        // An array begins with a byte of its own.
        let fits = bytes < limits.bytes_max || self.bytes == 0;
        if fits {
            self.bytes = bytes;
        }
        fits
    }

    /// At most so many bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
