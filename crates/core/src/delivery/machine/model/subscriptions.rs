//! ○ Subscriptions that change.

use std::sync::Arc;

use super::{super::testing::*, AttemptId, Model};

impl Model {
    /// The others' events are wanted no more, or nobody knows; of those under way, the newest subscriptions say it.
    pub(super) fn narrow(&mut self, tenant: &str, held: bool) {
        let others = self.accounts.values().filter(|(_, event, _)| event.tenant() != Some(tenant));
        self.unwanted = others.map(|(_, event, _)| event.offset()).collect();
        // A batch comes again without them.
        self.sent_with.values_mut().for_each(|(_, same)| *same = false);
        let newest = subscribed_to(&[tenant], held);
        self.delivery.handle_narrowed(&newest);
        self.newest = Some(newest);
        self.delivery.handle_timeout(self.now);
        self.poll();
    }

    /// The machine is not told.
    pub(super) fn widen(&mut self) {
        self.unwanted.clear();
        self.newest = Some(subscribed_to(&["0", "1", "2"], false));
    }

    pub(super) fn show_newest(&mut self, attempt: AttemptId) {
        if let Some(newest) = &self.newest {
            self.delivery.match_by_newest(attempt, || Arc::clone(newest));
        }
    }
}
