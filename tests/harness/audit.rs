//! ● The data: every event that an endpoint should get was answered with 2xx, or is kept in the backlog or as a dead
//! letter; and no offset was committed before that held for it and for all below it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{
    Endpoint, Findings, Hook, SOON,
    kafka::Kafka,
    postgres::{LetterPlace, Postgres},
    produced::{Produced, Sent},
    watch::Watch,
};

/// Who should have got what.
pub struct Audit {
    data: Arc<AuditData>,
    watch: Option<Watch>,
}

/// All ledgers of one story.
pub struct AuditData {
    pub produced: Arc<Produced>,
    pub kafka: Arc<Kafka>,
    postgres: Arc<Postgres>,
    expectations: Vec<Expectation>,
}

struct Expectation {
    endpoint_id: String,
    hook: Hook,
    wants: Box<dyn Fn(&Sent) -> bool + Send + Sync>,
    /// The endpoint may be deleted with events in its queue.
    cancellable: bool,
}

/// An endpoint, by its index, and an event that it has not accepted.
type Missing = (usize, u32);

/// Dead letters of records that never got as far as an endpoint.
const THE_OPERATORS: &str = "";

impl Audit {
    pub(super) fn new(produced: Arc<Produced>, kafka: Arc<Kafka>, postgres: Arc<Postgres>) -> Self {
        let data = AuditData { produced, kafka, postgres, expectations: Vec::new() };
        Audit { data: Arc::new(data), watch: None }
    }

    /// This endpoint should get every event that `wants` says.
    pub fn expect(self, endpoint: &Endpoint, wants: impl Fn(&Sent) -> bool + Send + Sync + 'static) -> Self {
        self.enter(endpoint, Box::new(wants), false)
    }

    /// This endpoint should get everything.
    pub fn expect_all(self, endpoint: &Endpoint) -> Self {
        self.expect(endpoint, |_| true)
    }

    /// This endpoint should get everything, until the story deletes it.
    pub fn expect_until_deleted(self, endpoint: &Endpoint) -> Self {
        self.enter(endpoint, Box::new(|_| true), true)
    }

    fn enter(
        mut self,
        endpoint: &Endpoint,
        wants: Box<dyn Fn(&Sent) -> bool + Send + Sync>,
        cancellable: bool,
    ) -> Self {
        let data = Arc::get_mut(&mut self.data).expect("expectations come before the watch");
        let (endpoint_id, hook) = (endpoint.id.clone(), endpoint.hook.clone());
        data.expectations.push(Expectation { endpoint_id, hook, wants, cancellable });
        self
    }

    /// From now on, every commit of the group is checked against the ledgers.
    pub fn watch_commits(mut self) -> Self {
        self.watch = Some(Watch::start(Arc::clone(&self.data)));
        self
    }

    /// How many deliveries the group's commits do not know of: what a crash now repeats at most.
    pub fn delivered_beyond_commit(&self) -> u64 {
        let committed = self.data.kafka.committed();
        let committed: HashMap<(&str, i32), i64> =
            committed.iter().map(|(topic, partition, offset)| ((topic.as_str(), *partition), *offset)).collect();
        let mut beyond = 0;
        for expectation in &self.data.expectations {
            let accepted = expectation.hook.all_accepted();
            self.data.produced.each_at(|sent, topic| {
                let from = committed.get(&(topic, sent.partition)).copied().unwrap_or(0);
                let had = accepted.get(sent.seq as usize).is_some_and(|times| *times > 0);
                beyond += u64::from(had && sent.offset >= from);
            });
        }
        beyond
    }

    /// Waits until nothing of what was produced is missing: as long as it becomes less.
    #[track_caller]
    pub fn await_nothing_missing(&self) -> Findings {
        let findings = self.data.until_nothing_is_missing();
        findings.assert_sound();
        findings
    }

    /// Waits until nothing waits any more: everything was delivered or given up.
    #[track_caller]
    pub fn await_nothing_waiting(&self) -> Findings {
        let (mut least, mut progress_at) = (usize::MAX, Instant::now());
        loop {
            let findings = self.await_nothing_missing();
            if findings.backlog == 0 {
                return findings;
            }
            if findings.backlog < least {
                (least, progress_at) = (findings.backlog, Instant::now());
            }
            assert!(progress_at.elapsed() < SOON, "{} events wait and do not become less", findings.backlog);
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Nothing is missing, everything is committed, and no commit was early.
    #[track_caller]
    pub fn close(self) -> Findings {
        let findings = self.settle();
        findings.assert_sound();
        findings
    }

    /// Waits until nothing is missing and everything is committed, or until that does not come nearer any more, and
    /// says what there is.
    pub fn settle(mut self) -> Findings {
        let mut findings = self.data.until_nothing_is_missing();
        if findings.lost.is_empty() {
            let uncommitted = self.data.await_commits();
            findings = self.data.compare();
            findings.complaints.extend(uncommitted);
        }
        findings.early = self.watch.take().map(Watch::end).unwrap_or_default();
        findings.complaints.extend(self.data.expectations.iter().flat_map(|expected| expected.hook.complaints()));
        findings
    }
}

impl AuditData {
    fn until_nothing_is_missing(&self) -> Findings {
        let mut least = usize::MAX;
        let mut progress_at = Instant::now();
        loop {
            let looked_at = Instant::now();
            let findings = self.compare();
            let missing = findings.lost.len();
            if missing == 0 || progress_at.elapsed() > SOON {
                return findings;
            }
            if missing < least {
                (least, progress_at) = (missing, Instant::now());
            }
            // Counting must not cost more than what is counted.
            thread::sleep(looked_at.elapsed().max(Duration::from_millis(50)));
        }
    }

    /// The lag that does not become less, in words.
    fn await_commits(&self) -> Option<String> {
        let (mut least, mut progress_at) = (i64::MAX, Instant::now());
        loop {
            let lag = self.kafka.lag();
            if lag == 0 {
                return None;
            }
            if lag < least {
                (least, progress_at) = (lag, Instant::now());
            }
            if progress_at.elapsed() > SOON {
                return Some(format!("{lag} records stay uncommitted though all of them have ended"));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn compare(&self) -> Findings {
        let mut findings = Findings::default();
        let mut missing = Vec::new();
        for (index, expectation) in self.expectations.iter().enumerate() {
            let accepted = expectation.hook.all_accepted();
            findings.duplicates += accepted.iter().map(|times| u64::from(times.saturating_sub(1))).sum::<u64>();
            findings.reordered += self.reordered(&expectation.hook);
            self.produced.each(|sent| {
                if (expectation.wants)(sent) {
                    findings.expected += 1;
                    if accepted.get(sent.seq as usize).is_none_or(|times| *times == 0) {
                        missing.push((index, sent.seq));
                    }
                }
            });
        }
        findings.delivered = findings.expected - missing.len();
        self.strike(&mut missing, &mut findings);
        findings.lost = missing.into_iter().map(|missing| self.named(missing)).collect();
        findings
    }

    /// Takes out what has ended without a delivery, and counts it.
    fn strike(&self, missing: &mut Vec<Missing>, findings: &mut Findings) {
        // What lies elsewhere may be much, and is not asked for.
        let offsets: Vec<i64> = missing.iter().map(|(_, seq)| self.produced.place(*seq).offset).collect();
        let (Some(first), Some(last)) = (offsets.iter().min(), offsets.iter().max()) else { return };
        let offsets = *first..=*last;
        let mut strike = |what: &dyn Fn(usize, u32) -> bool| {
            let before = missing.len();
            missing.retain(|(index, seq)| !what(*index, *seq));
            before - missing.len()
        };
        let kept_in = |kept: HashSet<LetterPlace>| {
            move |index: usize, seq: u32| {
                let of = |endpoint_id: &str| {
                    let (endpoint_id, place) = (endpoint_id.to_owned(), self.produced.place(seq));
                    kept.contains(&LetterPlace { endpoint_id, place })
                };
                of(&self.expectations[index].endpoint_id) || of(THE_OPERATORS)
            }
        };
        findings.backlog = strike(&kept_in(self.postgres.backlog_at(&offsets)));
        findings.dead_letters = strike(&kept_in(self.postgres.dead_letters_at(&offsets)));
        // What left the backlog between the two looks was delivered.
        findings.delivered += strike(&|index, seq| self.expectations[index].hook.accepted(seq) > 0);
        findings.cancelled = strike(&|index, _| self.expectations[index].cancellable);
    }

    fn named(&self, (index, seq): Missing) -> (String, u32) {
        (self.expectations[index].hook.name().to_owned(), seq)
    }

    /// Events that came to this hook after a later one of their lane.
    fn reordered(&self, hook: &Hook) -> u64 {
        let mut latest = HashMap::new();
        let mut reordered = 0;
        self.produced.each_of(&hook.order(), |sent, _| {
            let Some(lane) = sent.lane else { return };
            let latest = latest.entry((sent.topic, sent.partition, lane)).or_insert(sent.offset);
            reordered += u64::from(sent.offset < *latest);
            *latest = sent.offset.max(*latest);
        });
        reordered
    }

    /// What of a partition's range nobody has, though somebody should.
    pub fn unsettled(&self, sent: &[Sent]) -> Vec<(String, u32)> {
        let mut missing = Vec::new();
        for (index, expectation) in self.expectations.iter().enumerate() {
            let wanted = sent.iter().filter(|sent| (expectation.wants)(sent));
            let without = wanted.filter(|sent| expectation.hook.accepted(sent.seq) == 0);
            missing.extend(without.map(|sent| (index, sent.seq)));
        }
        self.strike(&mut missing, &mut Findings::default());
        missing.into_iter().map(|missing| self.named(missing)).collect()
    }
}
