//! ○ Live events of an ordered endpoint that wait in memory for the last rows of their partition.

use crate::model::receipt::Receipt;

#[derive(Default)]
pub(super) struct Behind {
    receipts: Vec<Receipt>,
    bytes: usize,
}

impl Behind {
    pub fn push(&mut self, receipt: Receipt) {
        self.bytes += receipt.event().weight_bytes();
        self.receipts.push(receipt);
    }

    /// All of them, in the order in which they came.
    pub fn take(&mut self) -> Vec<Receipt> {
        self.bytes = 0;
        std::mem::take(&mut self.receipts)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Receipt> {
        self.receipts.iter()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.receipts.is_empty()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.receipts.len()
    }

    /// Weight of the events.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
