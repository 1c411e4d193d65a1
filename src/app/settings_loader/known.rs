//! ● Ids in the routing table, and what changes and full reads make of it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::{
    model::settings::Settings,
    router::{
        full_read::FullRead,
        index::SubscriptionChange,
        subscription::Subscription,
        table::{EndpointQueues, RoutingTable},
    },
    store::settings::{EndpointRow, SubscriptionRow},
};

/// Ids in the table, to find what a reconcile must take out.
#[derive(Default)]
pub(super) struct Known {
    endpoints: HashSet<Arc<str>>,
    subscriptions: HashSet<Arc<str>>,
    /// Subscriptions that this version cannot read, or whose customers' grants it cannot, and their topics.
    unreadable: HashMap<Arc<str>, Arc<str>>,
    /// The reconcile that is under way.
    reading: Option<Reading>,
}

/// A full read of both.
#[derive(Default)]
struct Reading {
    endpoints: FullRead,
    subscriptions: FullRead,
    /// Subscriptions that a change named before their endpoint was known here: its row may still come with the snapshot.
    waiting: HashMap<Arc<str>, SubscriptionRow>,
}

/// Origin of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// A delta, asked for after the snapshot of the full read that is under way.
    Change,
    /// The full read that is under way.
    FullRead,
}

impl Origin {
    fn counts(self, read: Option<&mut FullRead>, id: &str) -> bool {
        match (self, read) {
            (Origin::Change, None) => true,
            (Origin::Change, Some(read)) => {
                read.note_change(id);
                true
            }
            (Origin::FullRead, Some(read)) => read.counts(id),
            // Its snapshot may be older than what is known.
            (Origin::FullRead, None) => false,
        }
    }
}

impl Known {
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.endpoints.len(), self.subscriptions.len())
    }

    /// Begins a full read. From now on changes must have been asked for after its snapshot was opened.
    pub(super) fn begin_full_read(&mut self) {
        self.reading = Some(Reading::default());
    }

    /// Leaves a full read that failed.
    pub(super) fn abandon_full_read(&mut self) {
        self.reading = None;
    }

    /// Ends a full read after its last row: takes out what is there no more, and publishes.
    /// Returns the number of subscriptions in the table.
    pub(super) fn end_full_read(&mut self, table: &RoutingTable) -> usize {
        let mut reading = self.reading.take().unwrap_or_default();
        let waiting = std::mem::take(&mut reading.waiting).into_values().collect();
        self.stage_subscriptions(table, waiting, Origin::Change);
        let gone = |known: &HashSet<Arc<str>>, read: &FullRead| -> Vec<Arc<str>> {
            known.iter().filter(|id| read.is_gone(id)).cloned().collect()
        };
        let endpoints = gone(&self.endpoints, &reading.endpoints);
        let subscriptions = gone(&self.subscriptions, &reading.subscriptions);
        let rows = subscriptions.iter().map(|id| SubscriptionRow::Absent { id: id.to_string() }).collect();
        self.stage_subscriptions(table, rows, Origin::Change);
        let published = self.publish_subscriptions(table);
        for id in endpoints {
            self.remove_endpoint(table, &id);
        }
        published
    }

    /// Puts endpoints into the table, and takes them out; `adapt` may change settings on the way.
    pub(super) fn apply_endpoints(
        &mut self,
        table: &RoutingTable,
        rows: Vec<EndpointRow>,
        origin: Origin,
        adapt: impl Fn(&mut Settings),
    ) {
        for row in rows {
            if !origin.counts(self.reading.as_mut().map(|reading| &mut reading.endpoints), row.id()) {
                continue;
            }
            match row {
                EndpointRow::Present(mut settings) => {
                    adapt(&mut settings);
                    self.endpoints.insert(Arc::clone(&settings.id));
                    table.put_endpoint(Arc::new(*settings));
                }
                EndpointRow::Absent { id } => self.remove_endpoint(table, &id),
            }
        }
    }

    fn remove_endpoint(&mut self, table: &RoutingTable, id: &str) {
        self.endpoints.remove(id);
        table.remove_endpoint(id);
    }

    /// Notes these for the next [`Known::publish_subscriptions`].
    pub(super) fn stage_subscriptions(&mut self, table: &RoutingTable, rows: Vec<SubscriptionRow>, origin: Origin) {
        let changes: Vec<_> = {
            let endpoints = table.endpoints();
            rows.into_iter().filter_map(|row| self.change_of(row, &endpoints, origin)).collect()
        };
        table.stage_subscriptions(changes);
    }

    /// Returns the number of subscriptions in the table.
    pub(super) fn publish_subscriptions(&self, table: &RoutingTable) -> usize {
        let held = self.unreadable.values().cloned().collect();
        table.holds().change(held, || table.publish_subscriptions())
    }

    fn change_of(
        &mut self,
        row: SubscriptionRow,
        endpoints: &EndpointQueues,
        origin: Origin,
    ) -> Option<SubscriptionChange> {
        if !origin.counts(self.reading.as_mut().map(|reading| &mut reading.subscriptions), row.id()) {
            return None;
        }
        if let Some(reading) = self.reading.as_mut().filter(|_| origin == Origin::Change) {
            reading.waiting.remove(row.id());
            if let SubscriptionRow::Present { id, endpoint_id, .. } = &row
                && endpoints.find(endpoint_id).is_none()
            {
                reading.waiting.insert(Arc::from(id.as_str()), row.clone());
            }
        }
        let (id, found, held) = match row {
            // The scope that it had when it could be read is no measure: it may give less by now, and so may the grants. Its
            // topic waits, and so does what is held already, until it can be read again.
            SubscriptionRow::Unreadable { id, topic } | SubscriptionRow::Ungranted { id, topic } => {
                (id, None, Some(topic))
            }
            SubscriptionRow::Present { id, endpoint_id, topic, scope } => {
                let found = endpoints.find(&endpoint_id).map(|queue| (queue.key, topic, scope));
                (id, found, None)
            }
            SubscriptionRow::Absent { id } => (id, None, None),
        };
        let stands = found.is_some() || held.is_some();
        match held {
            Some(topic) => drop(self.unreadable.insert(Arc::from(id.as_str()), Arc::from(topic))),
            None => drop(self.unreadable.remove(id.as_str())),
        }
        if stands {
            self.subscriptions.insert(Arc::from(id.as_str()));
        } else {
            self.subscriptions.remove(id.as_str());
        }
        Some(match found {
            Some((endpoint, topic, scope)) => SubscriptionChange::Put(Subscription { id, endpoint, topic, scope }),
            None => SubscriptionChange::Remove { id },
        })
    }
}
