//! ● Joining the group again without a pause, so that a cooperative rebalance takes heartbeats and not seconds.
//!
//! A cooperative rebalance has two rounds: in the first the old owners give partitions back, in the second the new owner
//! gets them, and in between nobody reads them. librdkafka (2.12) spaces the joins of a member by one second, so a member
//! that has just joined the first round enters the second, or one that begins meanwhile, up to a second later, and the
//! whole group waits for it. An answer about the cluster ends that spacing (`rd_kafka_parse_Metadata0` resets
//! `rkcg_join_intvl`), so one is asked for again and again while rounds may follow; nobody waits for it.

use std::{
    ptr,
    time::{Duration, Instant},
};

use rdkafka::{
    bindings as rd,
    client::{Client, ClientContext},
};

/// Further rounds follow within this time of a round, or not at all: those who did not know of it hear of it by their next
/// heartbeat.
const ROUNDS_FOLLOW: Duration = Duration::from_secs(2);
/// Between two requests: a member waits about this long, and for an answer, before it may join.
const SPACING: Duration = Duration::from_millis(100);

/// Requests that let a member join again.
#[derive(Debug, Default)]
pub(super) struct Rejoin {
    until: Option<Instant>,
    ask_at: Option<Instant>,
}

impl Rejoin {
    /// A round of a rebalance has ended for this member.
    pub(super) fn round_ended(&mut self, now: Instant) {
        self.until = Some(now + ROUNDS_FOLLOW);
        self.ask_at = Some(now);
    }

    /// Asks where it is due. Blocks nothing.
    pub(super) fn ask<C: ClientContext>(&mut self, client: &Client<C>, now: Instant) {
        if self.is_due(now) {
            ask_about_the_cluster(client);
        }
    }

    fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.ask_at.is_some_and(|at| now >= at);
        if is_due {
            self.ask_at = self.until.filter(|until| now < *until).map(|_| now + SPACING);
        }
        is_due
    }
}

/// Not by `DescribeCluster`: librdkafka (2.12) ends the process when a broker answers that there are no brokers, as one does
/// that was paused for longer than its own session (`rd_kafka_DescribeClusterResponse_parse` returns no error and no result).
fn ask_about_the_cluster<C: ClientContext>(client: &Client<C>) {
    const WITHOUT_WAITING: i32 = 0;
    // SAFETY: the client outlives the call. An answer that was there at once is ours; one that comes later belongs to
    // librdkafka, as nobody waits for it.
    unsafe {
        let mut answer = ptr::null();
        rd::rd_kafka_metadata(client.native_ptr(), 0, ptr::null_mut(), &raw mut answer, WITHOUT_WAITING);
        if !answer.is_null() {
            rd::rd_kafka_metadata_destroy(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn after_a_round_it_asks_for_two_seconds_and_then_no_more() {
        let start = clock::now();
        let mut rejoin = Rejoin::default();
        let asked = |rejoin: &mut Rejoin, ms: std::ops::Range<u64>| {
            ms.filter(|ms| rejoin.is_due(start + Duration::from_millis(*ms))).count()
        };
        assert_eq!(asked(&mut rejoin, 0..1_000), 0, "there was no round");
        rejoin.round_ended(start + Duration::from_secs(1));
        assert_eq!(asked(&mut rejoin, 1_000..2_000), 10);
        rejoin.round_ended(start + Duration::from_secs(2));
        assert_eq!(asked(&mut rejoin, 2_000..4_000), 20, "each round begins the time again");
        assert_eq!(asked(&mut rejoin, 4_000..60_000), 1, "the last one is at the end");
    }
}
