//! ● A run: everything is started, faults begin and end as planned, and the books are closed.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rand::{SeedableRng as _, rngs::SmallRng};

use crate::{
    changes::{Changes, Tally},
    chart::Mark,
    fleet::Fleet,
    harness::Findings,
    options::Options,
    plan::{Fault, Step, plan, steps},
    report::Books,
    sampler::{Sampler, Subject},
    samples::Sample,
    stand::Stand,
    waves::Waves,
};

/// What a run came to.
pub struct Outcome {
    pub samples: Vec<Sample>,
    pub marks: Vec<Mark>,
    pub books: Books,
    pub tally: Tally,
    /// What must not be, beside the books and what grows.
    pub complaints: Vec<String>,
}

/// What waits may take so long after the load.
const SETTLES_WITHIN: Duration = Duration::from_secs(180);
/// As often as somebody looks whether an instance ended by itself.
const LOOK: Duration = Duration::from_secs(1);

pub fn run(options: &Options) -> Outcome {
    let lasting = options.lasting.as_secs_f64();
    // Each has dice of its own: more of one thing changes nothing of the others.
    let dice = |number: u64| SmallRng::seed_from_u64(options.seed.wrapping_mul(31).wrapping_add(number));
    let waves = Arc::new(Waves::new(options.events_per_second, lasting, &mut dice(1)));
    let steps = steps(&plan(lasting, &mut dice(2)));

    let mut stand = Stand::start(options.binary.as_deref());
    let audit = stand.audit();
    let mut fleet = Fleet::new(&mut stand.app);
    let started = Instant::now();
    let subject = Subject {
        started,
        waves: Arc::clone(&waves),
        running: Arc::clone(&fleet.running),
        produced: Arc::clone(&stand.app.produced),
        postgres: Arc::clone(&stand.app.postgres),
        steady: stand.steady.hook.clone(),
    };
    let sampler = Sampler::start(subject, options.sample_every());
    let load = stand.app.load_by(move |at| waves.rate(at));
    let changes = Changes::start(&stand.app, &stand.receiver, dice(3));

    let marks = drive(&mut stand, &mut fleet, &steps, started);
    wait(&mut stand, &mut fleet, started + options.lasting);
    load.stop();
    let tally = changes.stop();
    let rows = await_empty_backlog(&stand);
    let findings = audit.settle();
    let samples = sampler.stop();

    let mut complaints = own_doubts(&samples);
    complaints.extend((rows > 0).then(|| format!("{rows} rows of the backlog are left over")));
    fleet.end(&mut stand.app);
    complaints.append(&mut fleet.complaints);
    let stopped = stand.app.sigterm();
    complaints.extend((!stopped.status.success()).then(|| "the first instance ended badly after SIGTERM".to_owned()));
    complaints.extend(findings.complaints.iter().chain(&findings.early).cloned());
    complaints.extend(findings.lost.iter().take(20).map(|(endpoint, seq)| format!("{endpoint} never got event {seq}")));
    Outcome { samples, marks, books: books(&findings), tally, complaints }
}

/// Carries out the plan, and says when that was.
fn drive(stand: &mut Stand, fleet: &mut Fleet, steps: &[Step], started: Instant) -> Vec<Mark> {
    let mut marks: Vec<Mark> = Vec::new();
    for Step { at, fault, begins } in steps {
        wait(stand, fleet, started + Duration::from_secs_f64(*at));
        let now = started.elapsed().as_secs_f64();
        if *begins {
            let (kind, color) = kind(*fault);
            eprintln!("{:6.1} min: {fault}", now / 60.0);
            marks.push(Mark { from: now, to: now, color, kind, label: fault.to_string() });
        } else if let Some(mark) = marks.iter_mut().rev().find(|mark| mark.label == fault.to_string()) {
            mark.to = now;
        }
        stand.suffer(*fault, *begins);
        fleet.change(&stand.app, *fault, *begins);
    }
    marks
}

fn wait(stand: &mut Stand, fleet: &mut Fleet, until: Instant) {
    loop {
        fleet.look_after(&mut stand.app);
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        thread::sleep(left.min(LOOK));
    }
}

/// Rows that are left when nothing becomes less any more, or the time is over.
fn await_empty_backlog(stand: &Stand) -> i64 {
    let until = Instant::now() + SETTLES_WITHIN;
    loop {
        let rows = stand.app.postgres.count("SELECT count(*) FROM backlog");
        if rows == 0 || Instant::now() > until {
            return rows;
        }
        thread::sleep(LOOK);
    }
}

/// What the instances themselves say is not right, at the end.
fn own_doubts(samples: &[Sample]) -> Vec<String> {
    let last = samples.last().into_iter().flat_map(|sample| &sample.instances);
    let doubts = last.flat_map(|(instance, numbers)| {
        let doubt =
            |name: &str| numbers.get(name).filter(|count| **count != 0.0).map(|count| (name.to_owned(), *count));
        let found = ["unaccounted", "stray", "abandoned"].into_iter().filter_map(doubt);
        found.map(move |(name, count)| format!("instance {instance} says {name} of {count}")).collect::<Vec<_>>()
    });
    doubts.collect()
}

fn books(findings: &Findings) -> Books {
    Books {
        expected: findings.expected,
        delivered: findings.delivered,
        dead_letters: findings.dead_letters,
        backlog: findings.backlog,
        lost: findings.lost.len(),
        early: findings.early.len(),
        duplicates: findings.duplicates,
    }
}

fn kind(fault: Fault) -> (&'static str, &'static str) {
    match fault {
        Fault::Receiver(..) => ("a receiver fails", "#d97706"),
        Fault::KafkaAway => ("Kafka away", "#dc2626"),
        Fault::PostgresAway => ("Postgres away", "#7c3aed"),
        Fault::Joins => ("an instance joins", "#16a34a"),
        Fault::Terminated => ("SIGTERM", "#0891b2"),
        Fault::Killed => ("kill -9", "#111827"),
    }
}
