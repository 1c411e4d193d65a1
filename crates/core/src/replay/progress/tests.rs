//! Progress of a replay, by situations and against a slow model.

use proptest::prelude::*;

use super::*;

fn progress(next: i64, end: i64) -> ReplayProgress {
    ReplayProgress::new(next, end, ReplayCounts::default())
}

#[test]
fn the_prefix_waits_for_its_oldest_event() {
    let mut progress = progress(10, 20);
    assert!(progress.track(10) && progress.track(12));
    progress.pass(15);
    progress.settle(12, Settlement::Delivered);
    assert_eq!((progress.next(), progress.counts().delivered), (10, 0), "10 is still on its way");
    progress.settle(10, Settlement::Backlogged);
    assert_eq!(progress.next(), 15);
    assert_eq!(progress.counts(), ReplayCounts { delivered: 1, backlogged: 1, ..ReplayCounts::default() });
}

#[test]
fn the_end_is_a_position_and_needs_no_record() {
    let mut progress = progress(10, 20);
    assert!(!progress.is_done());
    progress.pass(25);
    assert!(progress.is_done());
    assert_eq!(progress.next(), 20);
}

#[test]
fn what_was_read_before_or_lies_beyond_is_not_taken() {
    let mut progress = progress(10, 12);
    assert!(!progress.track(9) && !progress.track(12));
    assert!(progress.track(10) && !progress.track(10));
}

#[test]
fn a_gap_counts_once_what_is_before_it_is_done() {
    let mut progress = progress(0, 100);
    assert!(progress.track(0));
    assert_eq!(progress.gap(40), 39);
    assert_eq!(progress.gap(40), 0);
    assert_eq!((progress.counts().gap_offsets, progress.next()), (0, 0), "a restart now would find it again");
    progress.settle(0, Settlement::Delivered);
    assert_eq!((progress.counts().gap_offsets, progress.next()), (39, 40));
    assert_eq!(progress.gap(1_000), 60);
    assert!(progress.is_done());
}

#[test]
fn an_empty_range_is_done_at_once() {
    assert!(progress(5, 5).is_done());
    assert!(progress(7, 5).is_done());
}

/// A step of a part: read so many offsets of which these are wanted, lose some, settle one, crash.
#[derive(Clone, Debug)]
enum Step {
    Read { wanted: Vec<bool> },
    Gap(i64),
    Settle(usize, Settlement),
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let how = prop::sample::select(Settlement::ALL.to_vec());
    let step = prop_oneof![
        4 => prop::collection::vec(any::<bool>(), 0..6).prop_map(|wanted| Step::Read { wanted }),
        1 => (1_i64..5).prop_map(Step::Gap),
        6 => (any::<prop::sample::Index>(), how).prop_map(|(index, how)| Step::Settle(index.index(1 << 20), how)),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 0..80)
}

proptest! {
    /// Checks that each offset below `next` was settled, passed or lost, whenever the process ends, and each is
    /// counted once.
    #[test]
    fn nothing_below_the_prefix_is_owed_and_all_of_it_is_counted(end in 0_i64..60, steps in steps()) {
        let mut progress = progress(0, end);
        let mut open: Vec<i64> = Vec::new();
        let mut fate: BTreeMap<i64, &'static str> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Read { wanted } => {
                    for wanted in wanted {
                        let offset = progress.read_next();
                        if wanted && progress.track(offset) {
                            open.push(offset);
                        } else if offset < end {
                            progress.pass(offset + 1);
                            fate.insert(offset, "passed");
                        }
                    }
                }
                Step::Gap(offsets) => {
                    let from = progress.read_next();
                    let lost = progress.gap(from + offsets);
                    fate.extend((from..from + lost).map(|offset| (offset, "gap")));
                }
                Step::Settle(index, how) if !open.is_empty() => {
                    let offset = open.remove(index % open.len());
                    progress.settle(offset, how);
                    fate.insert(offset, how.as_str());
                }
                Step::Settle(..) => {}
                // A new owner begins with what was written down.
                Step::Crash => {
                    progress = ReplayProgress::new(progress.next(), end, progress.counts());
                    open.clear();
                    fate.retain(|offset, _| *offset < progress.next());
                }
            }
            let next = progress.next();
            prop_assert!(next <= end && open.iter().all(|offset| *offset >= next));
            prop_assert_eq!(progress.unsettled(), open.len());
            let count = |what: &str| fate.range(..next).filter(|(_, fate)| **fate == what).count() as i64;
            prop_assert_eq!(fate.range(..next).count() as i64, next, "every offset below has its fate");
            let expected = ReplayCounts {
                delivered: count("delivered"),
                backlogged: count("backlogged"),
                dead_lettered: count("dead_lettered"),
                gap_offsets: count("gap"),
            };
            prop_assert_eq!(progress.counts(), expected);
        }
    }
}
