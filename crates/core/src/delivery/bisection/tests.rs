//! ○ The questions of a bisection, the events that it blames, and how soon.

use std::{collections::BTreeSet, sync::atomic::Ordering, time::Instant};

use proptest::prelude::*;

use super::*;
use crate::delivery::machine::testing::{TestSource, receipt};

/// Result of a search.
#[derive(Debug, Default, PartialEq)]
struct Found {
    accepted: Vec<i64>,
    guilty: Vec<i64>,
    /// The endpoint was blamed; these were left, in this order.
    left: Option<Vec<i64>>,
    requests: usize,
}

/// Plays an endpoint that refuses whatever holds one of `guilty`, or is longer than `events_max` (as 413).
fn search(len: usize, guilty: &BTreeSet<i64>, events_max: usize) -> Found {
    let source = TestSource::new();
    let now = Instant::now();
    let all: Members = (0..len as i64).map(|offset| receipt(&source, offset, now)).collect();
    let refuses = |members: &Members| {
        members.len() > events_max || members.iter().any(|receipt| guilty.contains(&receipt.event().offset()))
    };
    let mut found = Found::default();
    let mut bisection = Bisection::default();
    let mut part = bisection.split(all, len > events_max);
    loop {
        found.requests += 1;
        assert_eq!(part.len() + bisection.len() + found.accepted.len() + found.guilty.len(), len);
        if !refuses(&part) {
            found.accepted.extend(offsets(&part));
            found.guilty.extend(bisection.accepted().iter().map(|refused| refused.receipt.event().offset()));
        } else if part.len() > 1 {
            let too_large = part.len() > events_max;
            part = bisection.split(part, too_large);
            continue;
        } else {
            let refused = RefusedEvent { receipt: part.pop().unwrap(), note: AttemptNote::default() };
            match bisection.refused(refused) {
                Blame::Unknown => {}
                Blame::Event(refused) => found.guilty.push(refused.receipt.event().offset()),
                Blame::Endpoint(left) => {
                    found.left = Some(offsets(&left));
                    break;
                }
            }
        }
        match bisection.next_part() {
            Some(next) => part = next,
            None => {
                found.guilty.extend(bisection.finish().iter().map(|refused| refused.receipt.event().offset()));
                break;
            }
        }
    }
    source.current.store(false, Ordering::Relaxed);
    found
}

fn offsets(members: &Members) -> Vec<i64> {
    members.iter().map(|receipt| receipt.event().offset()).collect()
}

/// 2 × log2(N).
fn requests_max(len: usize) -> usize {
    (2.0 * (len as f64).log2()).floor() as usize
}

#[test]
fn one_guilty_event_is_found_in_time_wherever_it_stands() {
    for len in 2..80 {
        for guilty in 0..len as i64 {
            let found = search(len, &BTreeSet::from([guilty]), usize::MAX);
            assert_eq!(found.guilty, [guilty]);
            assert_eq!(found.accepted.len(), len - 1);
            assert!(found.requests <= requests_max(len), "{guilty} of {len} took {}", found.requests);
        }
    }
}

#[test]
fn a_batch_of_a_thousand_costs_at_most_nineteen_more_requests() {
    let most = (0..1000)
        .step_by(37)
        .chain([999])
        .map(|guilty| search(1000, &BTreeSet::from([guilty]), usize::MAX).requests)
        .max();
    assert!(most <= Some(19), "{most:?}");
}

#[test]
fn an_endpoint_that_refuses_everything_is_known_soon_and_keeps_its_batch() {
    for len in [3, 4, 7, 100, 1000] {
        let everyone: BTreeSet<i64> = (0..len as i64).collect();
        let found = search(len, &everyone, usize::MAX);
        assert_eq!(found.left, Some(everyone.iter().copied().collect()), "all of it, in its order");
        assert_eq!((found.accepted.len(), found.guilty.len()), (0, 0));
        assert!(found.requests <= requests_max(len) + REFUSALS_MAX, "{len} took {}", found.requests);
    }
}

#[test]
fn two_refused_alone_are_too_few_to_blame_the_endpoint() {
    let found = search(2, &BTreeSet::from([0, 1]), usize::MAX);
    assert_eq!((found.guilty, found.left), (vec![0, 1], None));
}

#[test]
fn a_batch_that_is_only_too_large_goes_in_parts_and_nobody_is_blamed() {
    let found = search(100, &BTreeSet::new(), 30);
    assert_eq!((found.accepted.len(), found.guilty.len(), found.left), (100, 0, None));
    assert_eq!(found.requests, 6, "50, 25, 25, 50, 25, 25");
}

/// A length, and which events of it are guilty. A batch without a guilty event is not refused.
fn refused_batch() -> impl Strategy<Value = (usize, BTreeSet<i64>)> {
    (2_usize..200).prop_flat_map(|len| (Just(len), prop::collection::btree_set(0..len as i64, 1..6)))
}

proptest! {
    #[test]
    fn the_guilty_and_nobody_else_are_found((len, guilty) in refused_batch()) {
        let found = search(len, &guilty, usize::MAX);
        match found.left {
            None => {
                prop_assert_eq!(&found.guilty.iter().copied().collect::<BTreeSet<_>>(), &guilty);
                prop_assert_eq!(found.accepted.len(), len - guilty.len());
                prop_assert!(found.requests <= guilty.len() * requests_max(len).max(2));
            }
            Some(left) => {
                let first: Vec<i64> = (0..3).collect();
                prop_assert!(guilty.iter().take(3).eq(&first), "only when the first three are all refused");
                prop_assert_eq!(left, (0..len as i64).collect::<Vec<_>>());
            }
        }
    }
}
