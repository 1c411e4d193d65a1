//! ○ Opening of the breaker, and the way back of the load.

use proptest::prelude::*;
use rand::{SeedableRng, rngs::SmallRng};

use super::*;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

const THRESHOLDS: Thresholds = Thresholds {
    consecutive_failures: 3,
    failure_ratio: 0.5,
    requests_min: 10,
    window: secs(10),
    open_base: secs(4),
    open_max: secs(20),
};

const IN_FLIGHT_MAX: u32 = 8;

/// A breaker with the time and the entropy.
struct Bench {
    breaker: CircuitBreaker,
    now: Instant,
    rng: SmallRng,
    thresholds: Thresholds,
}

impl Bench {
    fn new(thresholds: Thresholds) -> Self {
        let now = Instant::now();
        Bench { breaker: CircuitBreaker::new(now), now, rng: SmallRng::seed_from_u64(3), thresholds }
    }

    fn succeed(&mut self, permit: BreakerPermit) -> Option<BreakerChange> {
        self.breaker.succeeded(permit, self.now, &self.thresholds, IN_FLIGHT_MAX)
    }

    fn fail(&mut self, permit: BreakerPermit) -> Option<BreakerChange> {
        self.breaker.failed(permit, 1, self.now, &self.thresholds, &mut self.rng)
    }

    fn success(&mut self) -> Option<BreakerChange> {
        let permit = self.breaker.begin();
        self.succeed(permit)
    }

    fn failure(&mut self) -> Option<BreakerChange> {
        let permit = self.breaker.begin();
        self.fail(permit)
    }

    /// Fails until it opens; returns how long it stays open.
    fn trip(&mut self) -> Duration {
        for _ in 0..100 {
            if let Some(BreakerChange::Opened { until, .. }) = self.failure() {
                return until - self.now;
            }
        }
        panic!("a hundred failures open it");
    }

    fn half_open(&mut self) {
        let BreakerAllowance::Until(until) = self.breaker.allowance() else { panic!("it is open") };
        self.now = until;
        assert_eq!(self.breaker.handle_timeout(self.now), Some(BreakerChange::HalfOpened));
    }
}

fn by_count() -> Bench {
    Bench::new(Thresholds { failure_ratio: 2.0, ..THRESHOLDS })
}

fn by_ratio() -> Bench {
    Bench::new(Thresholds { consecutive_failures: u32::MAX, ..THRESHOLDS })
}

#[test]
fn failures_in_a_row_open_it_and_a_success_between_starts_the_row_anew() {
    let mut bench = by_count();
    assert_eq!((bench.failure(), bench.failure(), bench.success()), (None, None, None));
    assert_eq!((bench.failure(), bench.failure()), (None, None));
    assert!(matches!(bench.failure(), Some(BreakerChange::Opened { failures: 3, .. })));
    assert_eq!(bench.breaker.state(), BreakerState::Open);
}

#[test]
fn a_ratio_of_failures_opens_it_once_there_are_enough_requests() {
    let mut bench = by_ratio();
    for _ in 0..4 {
        assert_eq!((bench.failure(), bench.success()), (None, None));
    }
    assert_eq!(bench.failure(), None, "nine requests are too few");
    assert!(matches!(bench.failure(), Some(BreakerChange::Opened { .. })));
}

#[test]
fn what_is_older_than_the_window_does_not_count() {
    let mut bench = by_ratio();
    for _ in 0..9 {
        assert_eq!(bench.failure(), None);
    }
    bench.now += secs(11);
    for _ in 0..9 {
        assert_eq!(bench.failure(), None);
    }
    assert!(bench.failure().is_some());
}

#[test]
fn a_window_slides_in_steps() {
    let mut bench = by_ratio();
    for _ in 0..9 {
        bench.failure();
        bench.now += secs(1);
    }
    // The first failure is nine seconds old: all ten are within the window.
    assert!(bench.failure().is_some());

    let mut bench = by_ratio();
    for _ in 0..30 {
        assert_eq!(bench.failure(), None, "eight failures in ten seconds are too few");
        bench.now += Duration::from_millis(1_300);
    }
}

#[test]
fn open_time_doubles_up_to_its_maximum_with_a_fifth_of_jitter() {
    let mut bench = by_count();
    for planned in [4, 8, 16, 20, 20, 20] {
        let open = bench.trip();
        assert!(open >= secs(planned).mul_f64(0.8) && open <= secs(planned).mul_f64(1.2), "{planned}: {open:?}");
        assert!(open <= THRESHOLDS.open_max);
        bench.half_open();
    }
}

#[test]
fn a_failed_probe_opens_it_at_once_and_a_good_one_closes_it() {
    let mut bench = by_count();
    bench.trip();
    bench.half_open();
    assert_eq!(bench.breaker.allowance(), BreakerAllowance::Probe);
    let probe = bench.breaker.begin();
    assert_eq!(bench.breaker.allowance(), BreakerAllowance::AwaitProbe);
    assert!(matches!(bench.fail(probe), Some(BreakerChange::Opened { .. })));
    bench.half_open();
    assert_eq!(bench.success(), Some(BreakerChange::Closed));
}

#[test]
fn a_probe_that_says_nothing_is_repeated() {
    let mut bench = by_count();
    bench.trip();
    bench.half_open();
    let probe = bench.breaker.begin();
    bench.breaker.undecided(probe);
    assert_eq!(bench.breaker.allowance(), BreakerAllowance::Probe);
}

#[test]
fn the_load_comes_back_doubling() {
    let mut bench = by_count();
    bench.trip();
    bench.half_open();
    bench.success();
    for requests in [1, 2, 4] {
        assert_eq!(bench.breaker.allowance(), BreakerAllowance::Requests(requests));
        let permits: Vec<_> = (0..requests).map(|_| bench.breaker.begin()).collect();
        assert_eq!(bench.breaker.allowance(), BreakerAllowance::Requests(0));
        for permit in permits {
            bench.succeed(permit);
        }
    }
    assert_eq!(bench.breaker.allowance(), BreakerAllowance::Requests(u32::MAX));
    let open = bench.trip();
    assert!(open <= secs(4).mul_f64(1.2), "after full load the open time starts again, not at {open:?}");
}

#[test]
fn a_failure_on_the_way_back_starts_it_again_from_one() {
    let mut bench = by_count();
    bench.trip();
    bench.half_open();
    bench.success();
    bench.success();
    assert_eq!(bench.breaker.allowance(), BreakerAllowance::Requests(2));
    assert_eq!(bench.failure(), None);
    assert_eq!(bench.breaker.allowance(), BreakerAllowance::Requests(1));
    let open = bench.trip();
    assert!(open >= secs(8).mul_f64(0.8), "it never carried its full load, so the open time goes on doubling");
}

#[test]
fn answers_to_requests_from_before_change_nothing() {
    let mut bench = by_count();
    let hanging: Vec<_> = (0..4).map(|_| bench.breaker.begin()).collect();
    bench.trip();
    assert_eq!((bench.succeed(hanging[0]), bench.breaker.state()), (None, BreakerState::Open));
    bench.half_open();
    bench.breaker.undecided(hanging[1]);
    let probe = bench.breaker.begin();
    assert_eq!((bench.fail(hanging[2]), bench.breaker.allowance()), (None, BreakerAllowance::AwaitProbe));
    bench.succeed(probe);
    assert_eq!((bench.fail(hanging[3]), bench.breaker.allowance()), (None, BreakerAllowance::Requests(1)));
}

#[test]
fn a_change_of_settings_brings_the_probe_forward() {
    let mut bench = by_count();
    assert_eq!(bench.breaker.probe_now(), None);
    bench.trip();
    assert_eq!(bench.breaker.probe_now(), Some(BreakerChange::HalfOpened));
    assert_eq!(bench.breaker.allowance(), BreakerAllowance::Probe);
}

#[derive(Clone, Debug)]
enum Step {
    Begin,
    Succeed(usize),
    Fail(usize),
    Undecided(usize),
    Wait(u64),
    ProbeNow,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => Just(Step::Begin),
        4 => (0_usize..8).prop_map(Step::Succeed),
        4 => (0_usize..8).prop_map(Step::Fail),
        1 => (0_usize..8).prop_map(Step::Undecided),
        3 => (0_u64..6_000).prop_map(Step::Wait),
        1 => Just(Step::ProbeNow),
    ];
    prop::collection::vec(step, 1..200)
}

proptest! {
    #[test]
    fn whatever_the_answers_nothing_goes_while_open_and_one_probe_while_half_open(steps in steps()) {
        let mut bench = Bench::new(THRESHOLDS);
        // Requests under way, and whether each went out since the last change of state.
        let mut under_way: Vec<(BreakerPermit, bool)> = Vec::new();
        for step in steps {
            let before = bench.breaker.state();
            let change = match step {
                Step::Begin => {
                    let may = match bench.breaker.allowance() {
                        BreakerAllowance::Requests(more) => more > 0,
                        BreakerAllowance::Probe => true,
                        BreakerAllowance::AwaitProbe | BreakerAllowance::Until(_) => false,
                    };
                    if may {
                        under_way.push((bench.breaker.begin(), true));
                    }
                    None
                }
                Step::Succeed(nth) if nth < under_way.len() => bench.succeed(under_way.remove(nth).0),
                Step::Fail(nth) if nth < under_way.len() => bench.fail(under_way.remove(nth).0),
                Step::Undecided(nth) if nth < under_way.len() => {
                    bench.breaker.undecided(under_way.remove(nth).0);
                    None
                }
                Step::Wait(by) => {
                    bench.now += Duration::from_millis(by);
                    bench.breaker.handle_timeout(bench.now)
                }
                Step::ProbeNow => bench.breaker.probe_now(),
                _ => None,
            };
            let after = bench.breaker.state();
            let expected = match change {
                None => before,
                Some(BreakerChange::Opened { failures, until }) => {
                    prop_assert!(failures > 0 && until > bench.now && until <= bench.now + THRESHOLDS.open_max);
                    BreakerState::Open
                }
                Some(BreakerChange::HalfOpened) => BreakerState::HalfOpen,
                Some(BreakerChange::Closed) => BreakerState::Closed,
            };
            prop_assert_eq!(after, expected, "every change of state is told");
            if change.is_some() {
                under_way.iter_mut().for_each(|(_, since)| *since = false);
            }
            let since = under_way.iter().filter(|(_, since)| *since).count();
            match bench.breaker.allowance() {
                BreakerAllowance::Until(_) => prop_assert_eq!((after, since), (BreakerState::Open, 0)),
                BreakerAllowance::Probe => prop_assert_eq!((after, since), (BreakerState::HalfOpen, 0)),
                BreakerAllowance::AwaitProbe => prop_assert_eq!((after, since), (BreakerState::HalfOpen, 1)),
                BreakerAllowance::Requests(more) => {
                    prop_assert_eq!(after, BreakerState::Closed);
                    prop_assert!(more > 0 || since > 0, "something can always happen next");
                }
            }
        }
    }
}
