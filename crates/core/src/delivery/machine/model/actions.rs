//! ○ An event in the life of an endpoint's machine.

use proptest::prelude::*;

use crate::{
    delivery::machine::testing::*,
    model::{
        outcome::Outcome,
        settings::{EndpointState, InFlight, Mode, OnFailure, OrderBy, Ordering, RateLimit},
    },
};

#[derive(Clone, Debug)]
pub(super) enum Action {
    Events {
        count: usize,
        age_ms: u64,
    },
    /// From the backlog.
    Stored(usize),
    Answer {
        nth: usize,
        outcome: Outcome,
        status: u16,
    },
    /// The shell keeps its timer.
    Wait(u64),
    /// The shell is late.
    Stall(u64),
    Configure(Box<Plan>),
    LosePartition,
    /// Only this tenant's events match by now; `held` if nobody knows of the others.
    Narrow {
        tenant: i64,
        held: bool,
    },
    /// All match by now, what came before included.
    Widen,
    /// Parked events are delivered by now.
    Drained,
    LocalOutage(bool),
    Trial,
    BacklogRows,
    Instances(u32),
}

/// Settings that a customer changes.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub mode: Mode,
    pub in_flight: InFlight,
    pub in_flight_max: u32,
    pub rate_limit: Option<RateLimit>,
    pub ordering: Option<Ordering>,
    pub state: EndpointState,
    pub newer: bool,
}

pub(super) fn plans() -> impl Strategy<Value = Plan> {
    let batches = (1_u32..9, 300_usize..2_000, 0_u64..1_500).prop_map(|(events_max, bytes_max, wait)| Mode::Batch {
        events_max,
        bytes_max,
        wait: ms(wait),
    });
    let modes = prop_oneof![Just(Mode::Stream), batches];
    let limits = (1_u32..200, 9_u32..40)
        .prop_map(|(events_per_second, burst_events)| RateLimit { events_per_second, burst_events });
    let states = prop_oneof![8 => Just(EndpointState::Enabled), 1 => Just(EndpointState::Paused), 1 => Just(EndpointState::Disabled)];
    let by = prop_oneof![Just(OrderBy::Key), Just(OrderBy::Partition)];
    let on_failure = prop_oneof![Just(OnFailure::Block), Just(OnFailure::DeadLetter)];
    let orderings = (by, on_failure).prop_map(|(by, on_failure)| Ordering { by, on_failure });
    let limits = prop::option::weighted(0.3, limits);
    let rules = prop_oneof![Just(InFlight::Fixed), Just(InFlight::Auto)];
    let maxima = prop_oneof![3 => 1_u32..6, 1 => 6_u32..48];
    (modes, rules, maxima, limits, prop::option::weighted(0.4, orderings), states, any::<bool>()).prop_map(
        |(mode, in_flight, in_flight_max, rate_limit, ordering, state, newer)| Plan {
            mode,
            in_flight,
            in_flight_max,
            rate_limit,
            ordering,
            state,
            newer,
        },
    )
}

fn answers() -> impl Strategy<Value = Action> {
    let outcomes = prop_oneof![
        8 => Just(Outcome::Delivered),
        6 => Just(FAILED),
        1 => (0_u64..8).prop_map(|wait| failed_for(secs(wait))),
        4 => Just(Outcome::Rejected),
        2 => Just(Outcome::Disconnected),
        2 => Just(Outcome::LocalFault),
        1 => prop::bool::weighted(0.1).prop_map(|gone| if gone { Outcome::Gone } else { FAILED }),
    ];
    let statuses = prop_oneof![Just(400_u16), Just(413)];
    (0_usize..48, outcomes, statuses).prop_map(|(nth, outcome, status)| Action::Answer { nth, outcome, status })
}

pub(super) fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        10 => (1_usize..20, 0_u64..50).prop_map(|(count, age_ms)| Action::Events { count, age_ms }),
        1 => (1_usize..5, 0_u64..8_000).prop_map(|(count, age_ms)| Action::Events { count, age_ms }),
        3 => (1_usize..20).prop_map(Action::Stored),
        40 => answers(),
        12 => (0_u64..400).prop_map(Action::Wait),
        4 => (0_u64..7_000).prop_map(Action::Wait),
        2 => (0_u64..7_000).prop_map(Action::Stall),
        2 => plans().prop_map(|plan| Action::Configure(Box::new(plan))),
        1 => Just(Action::LosePartition),
        1 => (0_i64..3, prop::bool::weighted(0.3)).prop_map(|(tenant, held)| Action::Narrow { tenant, held }),
        1 => Just(Action::Widen),
        1 => any::<bool>().prop_map(Action::LocalOutage),
        1 => Just(Action::Trial),
        2 => Just(Action::Drained),
        1 => Just(Action::BacklogRows),
        1 => (1_u32..4).prop_map(Action::Instances),
    ];
    prop::collection::vec(action, 1..120)
}

/// Nobody interferes: events come, and each request is answered some time, with much of it refused.
pub(super) fn undisturbed_actions() -> impl Strategy<Value = Vec<Action>> {
    let outcomes = prop_oneof![4 => Just(Outcome::Delivered), 4 => Just(Outcome::Rejected), 1 => Just(FAILED)];
    let answers = (0_usize..48, outcomes).prop_map(|(nth, outcome)| Action::Answer { nth, outcome, status: 400 });
    let action = prop_oneof![
        2 => (1_usize..20).prop_map(|count| Action::Events { count, age_ms: 0 }),
        1 => (1_usize..5).prop_map(Action::Stored),
        6 => answers,
        6 => (0_u64..4_500).prop_map(Action::Wait),
    ];
    prop::collection::vec(action, 1..200)
}
