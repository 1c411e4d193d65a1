//! ● The books: every event that an endpoint should get was answered with 2xx or is a dead letter; and no offset was
//! committed before that held for it and for all below it.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{
    Endpoint, Hook, SOON,
    kafka::Kafka,
    postgres::{LetterPlace, Postgres},
    produced::{Produced, Sent},
};

/// How often the group's commits are compared with the ledgers.
const WATCH_EVERY: Duration = Duration::from_millis(200);

/// Who should have got what.
pub struct Audit {
    books: Arc<Books>,
    watch: Option<Watch>,
}

struct Books {
    produced: Arc<Produced>,
    kafka: Arc<Kafka>,
    postgres: Arc<Postgres>,
    expectations: Vec<Expectation>,
}

struct Expectation {
    endpoint_id: String,
    hook: Hook,
    wants: Box<dyn Fn(&Sent) -> bool + Send + Sync>,
}

/// What the books say once nothing is missing.
pub struct Findings {
    pub expected: usize,
    pub dead_letters: usize,
    /// 2xx answers beyond the first of an event.
    pub duplicates: u64,
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Findings { expected, dead_letters, duplicates } = self;
        write!(f, "{expected} expected, 0 lost, {dead_letters} dead letters, {duplicates} duplicates")
    }
}

impl Audit {
    pub(super) fn new(produced: Arc<Produced>, kafka: Arc<Kafka>, postgres: Arc<Postgres>) -> Self {
        let books = Books { produced, kafka, postgres, expectations: Vec::new() };
        Audit { books: Arc::new(books), watch: None }
    }

    /// This endpoint should get every event that `wants` says.
    pub fn expect(mut self, endpoint: &Endpoint, wants: impl Fn(&Sent) -> bool + Send + Sync + 'static) -> Self {
        let books = Arc::get_mut(&mut self.books).expect("expectations come before the watch");
        let (endpoint_id, hook) = (endpoint.id.clone(), endpoint.hook.clone());
        books.expectations.push(Expectation { endpoint_id, hook, wants: Box::new(wants) });
        self
    }

    /// This endpoint should get everything.
    pub fn expect_all(self, endpoint: &Endpoint) -> Self {
        self.expect(endpoint, |_| true)
    }

    /// From now on, every commit of the group is checked against the ledgers.
    pub fn watch_commits(mut self) -> Self {
        self.watch = Some(Watch::start(Arc::clone(&self.books)));
        self
    }

    /// Waits until nothing of what was produced is missing: as long as it becomes less.
    #[track_caller]
    pub fn await_nothing_missing(&self) -> Findings {
        let mut least = usize::MAX;
        let mut progress_at = Instant::now();
        loop {
            let (missing, findings) = self.books.compare();
            if missing.is_empty() {
                return findings;
            }
            if missing.len() < least {
                (least, progress_at) = (missing.len(), Instant::now());
            }
            let some = &missing[..missing.len().min(5)];
            assert!(progress_at.elapsed() < SOON, "{} events lost, such as {some:?}", missing.len());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Nothing is missing, everything is committed, and no commit was early.
    #[track_caller]
    pub fn close(mut self) -> Findings {
        let findings = self.await_nothing_missing();
        super::eventually_holds("the group has committed everything", || self.books.kafka.lag() == 0);
        if let Some(watch) = self.watch.take() {
            watch.assert_no_commit_was_early();
        }
        for expectation in &self.books.expectations {
            expectation.hook.assert_no_complaints();
        }
        findings
    }
}

impl Books {
    /// What is missing, as hook and event; and the findings if that is nothing.
    fn compare(&self) -> (Vec<(String, u32)>, Findings) {
        let mut findings = Findings { expected: 0, dead_letters: 0, duplicates: 0 };
        let mut missing = Vec::new();
        for expectation in &self.expectations {
            let accepted = expectation.hook.all_accepted();
            findings.duplicates += accepted.iter().map(|times| u64::from(times.saturating_sub(1))).sum::<u64>();
            self.produced.each(|sent| {
                if (expectation.wants)(sent) {
                    findings.expected += 1;
                    if accepted.get(sent.seq as usize).is_none_or(|times| *times == 0) {
                        missing.push((expectation, sent.seq));
                    }
                }
            });
        }
        let before = missing.len();
        self.strike_dead_letters(&mut missing);
        findings.dead_letters = before - missing.len();
        (missing.into_iter().map(|(expectation, seq)| (expectation.hook.name().to_owned(), seq)).collect(), findings)
    }

    fn strike_dead_letters(&self, missing: &mut Vec<(&Expectation, u32)>) {
        if missing.is_empty() {
            return;
        }
        let letters = self.postgres.dead_letters();
        missing.retain(|(expectation, seq)| {
            let (endpoint_id, place) = (expectation.endpoint_id.clone(), self.produced.place(*seq));
            !letters.contains(&LetterPlace { endpoint_id, place })
        });
    }

    /// What of a partition's range nobody has, though somebody should.
    fn unsettled(&self, sent: &[Sent]) -> Vec<(String, u32)> {
        let mut missing = Vec::new();
        for expectation in &self.expectations {
            let wanted = sent.iter().filter(|sent| (expectation.wants)(sent));
            let without = wanted.filter(|sent| expectation.hook.accepted(sent.seq) == 0);
            missing.extend(without.map(|sent| (expectation, sent.seq)));
        }
        self.strike_dead_letters(&mut missing);
        missing.into_iter().map(|(expectation, seq)| (expectation.hook.name().to_owned(), seq)).collect()
    }
}

/// Compares every commit with the ledgers.
struct Watch {
    stop: Arc<AtomicBool>,
    found: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    fn start(books: Arc<Books>) -> Self {
        let (stop, found) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<Vec<String>>>::default());
        let (stopping, finding) = (Arc::clone(&stop), Arc::clone(&found));
        let thread = thread::spawn(move || {
            let mut checked = HashMap::new();
            loop {
                let last_look = stopping.load(Ordering::Acquire);
                for (topic, partition, offset) in books.kafka.committed() {
                    let from: &mut i64 = checked.entry((topic.clone(), partition)).or_insert(0);
                    if offset < *from {
                        let fell = format!("the commit of {topic}/{partition} fell from {from} to {offset}");
                        finding.lock().unwrap().push(fell);
                        continue;
                    }
                    // The ledgers are read after the commit: what is in them now may have been there then.
                    let sent = books.produced.range(&topic, partition, *from, offset);
                    for (hook, seq) in books.unsettled(&sent) {
                        let early =
                            format!("{topic}/{partition} was committed to {offset} before {hook} had event {seq}");
                        finding.lock().unwrap().push(early);
                    }
                    *from += sent.len() as i64;
                }
                if last_look {
                    return;
                }
                thread::park_timeout(WATCH_EVERY);
            }
        });
        Watch { stop, found, thread: Some(thread) }
    }

    #[track_caller]
    fn assert_no_commit_was_early(mut self) {
        self.stop.store(true, Ordering::Release);
        let thread = self.thread.take().expect("a watch is closed once");
        thread.thread().unpark();
        thread.join().expect("the watch saw everything");
        let found = self.found.lock().unwrap();
        assert!(found.is_empty(), "{} commits came early, such as {:?}", found.len(), &found[..found.len().min(5)]);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}
