//! Partitions that are stalled: since when, and why.

use super::*;

const AFTER: Duration = Duration::from_secs(15);

fn name(partition: i32) -> PartitionName {
    ("orders".into(), partition)
}

fn waiting(lag: i64) -> PartitionObservation {
    PartitionObservation { lag: Some(lag), ..PartitionObservation::default() }
}

#[track_caller]
fn check(seen: PartitionObservation, why: PartitionStallReason) {
    let (mut standings, begin) = (PartitionStalls::default(), Instant::now());
    standings.observe(vec![(name(0), seen.clone())], AFTER, begin);
    let changes = standings.observe(vec![(name(0), seen)], AFTER, begin + AFTER);
    assert_eq!(changes.began.iter().map(|one| one.why).collect::<Vec<_>>(), [why]);
}

#[test]
fn a_stalled_partition_is_found_by_its_topic_and_number_together() {
    let stalled = StalledPartition {
        topic: "orders".into(),
        partition: 3,
        since: Instant::now(),
        why: PartitionStallReason::Broker,
        words: String::new(),
        lag: None,
    };
    assert!(stalled.is_of("orders", 3));
    assert!(!stalled.is_of("orders", 4) && !stalled.is_of("refunds", 3));
}

#[test]
fn whoever_has_something_to_do_and_does_not_move_for_a_while_stands_until_it_moves() {
    let (mut standings, begin) = (PartitionStalls::default(), Instant::now());
    let at = |seconds| begin + Duration::from_secs(seconds);
    let idle = PartitionObservation { received: 5, lag: Some(0), ..PartitionObservation::default() };
    let mut observe = |seen: PartitionObservation, now| standings.observe(vec![(name(0), seen)], AFTER, now);
    assert_eq!(observe(idle.clone(), at(0)), StallChanges::default());
    assert_eq!(observe(idle, at(3_600)), StallChanges::default(), "nothing to do");
    assert_eq!(observe(waiting(50), at(3_605)), StallChanges::default(), "it came a moment ago");
    let began = observe(waiting(50), at(3_620)).began;
    assert_eq!((began.len(), began[0].since, began[0].lag), (1, at(3_605), Some(50)));
    assert_eq!(observe(waiting(60), at(3_625)), StallChanges::default(), "it is told once");
    let moved = PartitionObservation { received: 6, ..waiting(60) };
    assert_eq!(observe(moved, at(3_630)).ended.len(), 1);
}

#[test]
fn one_that_moves_however_slowly_does_not_stand() {
    let (mut standings, begin) = (PartitionStalls::default(), Instant::now());
    for second in 0..100 {
        let seen = PartitionObservation { committable: Some(second / 10), ..waiting(1_000) };
        let now = begin + Duration::from_secs(second.unsigned_abs());
        assert_eq!(standings.observe(vec![(name(0), seen)], AFTER, now), StallChanges::default());
    }
}

#[test]
fn one_that_is_somebody_elses_now_stands_no_more() {
    let (mut standings, begin) = (PartitionStalls::default(), Instant::now());
    standings.observe(vec![(name(0), waiting(1))], AFTER, begin);
    standings.observe(vec![(name(0), waiting(1))], AFTER, begin + AFTER);
    assert_eq!(standings.standing().len(), 1);
    assert_eq!(standings.observe(vec![], AFTER, begin + AFTER).ended.len(), 1);
    assert_eq!(standings.standing(), []);
}

#[test]
fn the_reason_is_the_outermost_obstacle() {
    check(waiting(1), PartitionStallReason::NotFetched);
    check(
        PartitionObservation { tried: Some((PartitionStallReason::Unreadable, "too large".to_owned())), ..waiting(1) },
        PartitionStallReason::Unreadable,
    );
    check(PartitionObservation { waits_for_transaction: true, ..waiting(1) }, PartitionStallReason::OpenTransaction);
    check(
        PartitionObservation { paused: Some(PauseReason::Memory), outstanding: 9, ..waiting(1) },
        PartitionStallReason::Paused,
    );
    check(PartitionObservation { outstanding: 9, ..waiting(0) }, PartitionStallReason::Unsettled);
    check(PartitionObservation { topic_held: true, ..waiting(1) }, PartitionStallReason::SettingsUnreadable);
    check(PartitionObservation { out_of_log: true, ..waiting(0) }, PartitionStallReason::OffsetLost);
    check(
        PartitionObservation { held: Some(Hold::Commit), ..PartitionObservation::default() },
        PartitionStallReason::CommitUnknown,
    );
    check(
        PartitionObservation {
            topic: TopicSeen::NotLed,
            held: Some(Hold::NoLeader),
            ..PartitionObservation::default()
        },
        PartitionStallReason::NoLeader,
    );
    check(
        PartitionObservation { topic: TopicSeen::Refused("no".to_owned()), ..waiting(1) },
        PartitionStallReason::NotAuthorized,
    );
    check(
        PartitionObservation {
            topic: TopicSeen::Unknown("away".to_owned()),
            paused: Some(PauseReason::Memory),
            ..waiting(1)
        },
        PartitionStallReason::Broker,
    );
}

#[test]
fn another_reason_is_told() {
    let (mut standings, begin) = (PartitionStalls::default(), Instant::now());
    standings.observe(vec![(name(0), waiting(1))], AFTER, begin);
    standings.observe(vec![(name(0), waiting(1))], AFTER, begin + AFTER);
    assert_eq!(standings.unexplained(), [name(0)]);
    let tried =
        PartitionObservation { tried: Some((PartitionStallReason::NotAuthorized, "no".to_owned())), ..waiting(1) };
    let changes = standings.observe(vec![(name(0), tried)], AFTER, begin + AFTER + AFTER);
    assert_eq!((changes.ended.len(), changes.began.len()), (1, 1));
    assert_eq!(changes.began[0].since, begin, "it has stood since then");
    assert_eq!(standings.unexplained(), []);
}

#[test]
fn a_partition_whose_broker_was_in_the_way_is_tried_again() {
    let (mut standings, begin) = (PartitionStalls::default(), Instant::now());
    let tried =
        || PartitionObservation { tried: Some((PartitionStallReason::Broker, "away".to_owned())), ..waiting(1) };
    standings.observe(vec![(name(0), tried())], AFTER, begin);
    standings.observe(vec![(name(0), tried())], AFTER, begin + AFTER);
    assert_eq!(standings.unexplained(), [name(0)]);
}

#[test]
fn partitions_of_one_topic_that_stand_for_one_reason_are_told_of_together() {
    let now = Instant::now();
    let one = |partition, why, lag: i64| {
        let (topic, words) = (Arc::from("orders"), String::new());
        let since = now + Duration::from_secs(60) - Duration::from_secs(lag.unsigned_abs());
        StalledPartition { topic, partition, since, why, words, lag: Some(lag) }
    };
    let groups = groups(&[
        one(0, PartitionStallReason::NoLeader, 5),
        one(1, PartitionStallReason::Paused, 1),
        one(3, PartitionStallReason::NoLeader, 7),
    ]);
    assert_eq!(groups.len(), 2);
    assert_eq!((&groups[0].partitions[..], groups[0].lag), (&[0, 3][..], 12));
    assert_eq!(groups[0].since, now + Duration::from_secs(53), "a group is as old as its oldest partition");
}

#[test]
fn every_reason_has_a_word_of_its_own() {
    let words: std::collections::HashSet<_> = PartitionStallReason::ALL.iter().map(|why| why.as_str()).collect();
    assert_eq!(words.len(), PartitionStallReason::ALL.len());
}
