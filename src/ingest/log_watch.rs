//! ● Asks Kafka about the logs of the assigned partitions, on a thread and with a client of its own, so that the poll thread
//! waits for no answer.
//!
//! Whether a topic is still the same one, where logs begin and end, what retention took before it was read, where those
//! begin that could not be told at their assignment, and which are stalled and why.

mod choice; // which of the chosen topics are there
mod operator_events; // what is told of it
mod probe; // what another reader is told
mod turns; // which partitions are asked about

use std::{
    collections::{BTreeSet, HashMap},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    config::ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
    topic_partition_list::TopicPartitionListElem,
};

use self::{
    choice::Choice,
    operator_events::{log_stall, tell, tell_lost},
    probe::{ClientErrorListener, ProbeTries},
    turns::{LookTurns, PartitionMark},
};
use super::{
    begin::Begin,
    consumer::{ConsumerState, OffsetLostPolicy, Topics, orders::PollerOrder},
    first_start::FirstStartPositions,
    ledger::PartitionLedger,
    stalls::{PartitionName, PartitionObservation, PartitionStallGroup, PartitionStalls, TopicSeen, groups},
    starts,
    topic_ids::{self, TopicNow},
};
use crate::clock;

const LOOK_EVERY: Duration = Duration::from_secs(2);
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// In one question: the client compares each of its answers with all of them.
const ASK_PARTITIONS_MAX: usize = 256;
/// Beyond the time that an event may wait in memory: so much without a move is standing still.
const STANDS_AFTER: Duration = Duration::from_secs(5);

const SAY_EVERY: Duration = Duration::from_secs(60);

/// Parts that the watch works with.
pub(super) struct LogWatch {
    pub state: Arc<ConsumerState>,
    pub client: ClientConfig,
    pub topics: Topics,
    pub first_start: Arc<FirstStartPositions>,
    pub offset_lost: OffsetLostPolicy,
    pub park_after: Duration,
}

/// Memory from look to look.
struct Looks {
    watch: LogWatch,
    consumer: BaseConsumer<ClientErrorListener>,
    standings: PartitionStalls,
    tries: ProbeTries,
    choice: Choice,
    /// Time of the last log line about partitions that are stalled.
    said_at: Instant,
    /// Outside of their logs at the last look.
    out_of_log: BTreeSet<(PartitionName, u64)>,
    turns: LookTurns,
    /// The partitions of the last look.
    assigned: Arc<Ledgers>,
    /// The newest answer about each of their topics.
    topics: HashMap<String, TopicNow>,
}

type Ledgers = Vec<Arc<PartitionLedger>>;

impl LogWatch {
    /// Looks until the consumer stops.
    pub(super) fn run(mut self) {
        // Where a log ends is asked as of all records: those of open transactions wait, too.
        self.client.set("isolation.level", "read_uncommitted").set("statistics.interval.ms", "0");
        self.client
            .set("enable.auto.commit", "false")
            .set("allow.auto.create.topics", "false")
            .set("client.id", "postrider-watch")
            .set("auto.offset.reset", "error");
        let state = Arc::clone(&self.state);
        let consumer = match self.client.create_with_context(ClientErrorListener::default()) {
            Ok(consumer) => consumer,
            Err(error) => {
                tracing::error!(%error, "the log watcher could not be started: re-created topics are not noticed");
                return;
            }
        };
        let mut looks = Looks {
            choice: Choice::new(&self.client),
            watch: self,
            consumer,
            standings: PartitionStalls::default(),
            tries: ProbeTries::default(),
            said_at: clock::now(),
            out_of_log: BTreeSet::new(),
            turns: LookTurns::default(),
            assigned: Arc::default(),
            topics: HashMap::new(),
        };
        while !state.is_stopping() {
            if catch_unwind(AssertUnwindSafe(|| looks.poll())).is_err() {
                tracing::error!("the check of the logs panicked; it is tried again");
            }
            std::thread::park_timeout(LOOK_EVERY);
        }
    }
}

impl Looks {
    fn poll(&mut self) {
        let assigned = self.watch.state.assigned();
        probe::drain(&self.consumer);
        self.look_at_choice(!assigned.is_empty());
        let due = self.due(&assigned);
        let topics: BTreeSet<&str> = due.iter().map(|ledger| ledger.topic()).collect();
        let topics: Vec<&str> = topics.into_iter().collect();
        let asked = topic_ids::ask(self.consumer.client(), &topics, ASK_TIMEOUT);
        let mut out_of_log = BTreeSet::new();
        if let Ok(now) = &asked {
            self.compare_ids(&due, now);
            self.ask_for_beginnings(&due);
            // Before the ends are asked for: what is read meanwhile is no reason to think that a log was cut.
            let next: Vec<Option<i64>> = due.iter().map(|ledger| ledger.next_offset()).collect();
            let mut answered = BTreeSet::new();
            if let Err(error) = self.ask_for_extents(&due, now, &mut answered) {
                tracing::debug!(%error, "the bounds of the logs are unavailable");
                self.ask_for_all_next();
            }
            due.iter().for_each(|ledger| tell_lost(ledger));
            // By bounds of an earlier look, what was read since would lie beyond the end.
            let looked = due.iter().zip(next).filter(|(ledger, _)| answered.contains(&name_of(ledger)));
            out_of_log = looked.filter_map(|(ledger, next)| is_out(ledger, next?)).collect();
            self.bring_back(&due, &out_of_log);
        }
        self.out_of_log = out_of_log;
        match &asked {
            Ok(_) => self.try_unexplained(&assigned),
            Err(_) => self.ask_for_all_next(),
        }
        let words = asked.as_ref().err().map(KafkaError::to_string);
        self.topics.extend(asked.unwrap_or_default());
        let seen = |ledger: &Arc<PartitionLedger>| (name_of(ledger), self.seen(ledger, words.as_deref()));
        // Who has nothing to do does not stand.
        let busy = assigned.iter().enumerate().filter(|(place, _)| !self.turns.is_quiet(*place));
        let seen = busy.map(|(_, ledger)| seen(ledger)).collect();
        let (after, now) = (self.watch.park_after * 2 + STANDS_AFTER, clock::now());
        let before = groups(&self.standings.standing());
        let changes = self.standings.observe(seen, after, now);
        changes.ended.iter().for_each(|ended| log_stall(ended, Duration::ZERO));
        let standing = self.standings.standing();
        let groups = groups(&standing);
        tell(&before, &groups, now);
        self.say_again(&groups, now);
        standing.iter().for_each(|one| log_stall(one, now.saturating_duration_since(one.since)));
        self.watch.state.standing.store(Arc::new(standing));
    }

    /// The partitions to ask about now.
    fn due<'a>(&mut self, assigned: &'a Arc<Ledgers>) -> Vec<&'a Arc<PartitionLedger>> {
        let marks = assigned.iter().map(|ledger| self.mark(ledger)).collect();
        let before = std::mem::replace(&mut self.assigned, Arc::clone(assigned));
        let is_same = Arc::ptr_eq(&before, assigned);
        if !is_same {
            self.topics.clear();
        }
        self.turns.take(marks, is_same).into_iter().map(|place| &assigned[place]).collect()
    }

    fn ask_for_all_next(&mut self) {
        self.assigned = Arc::default();
    }

    fn mark(&self, ledger: &Arc<PartitionLedger>) -> PartitionMark {
        let is_read = ledger.paused().is_none() && !ledger.takes_nothing();
        let is_out = !self.out_of_log.is_empty() && self.out_of_log.contains(&(name_of(ledger), ledger.epoch()));
        let is_done = ledger.outstanding().0 == 0 && ledger.lag() == Some(0);
        PartitionMark {
            received: ledger.received_events(),
            next: ledger.next_offset(),
            is_quiet: is_read && is_done && !is_out,
        }
    }

    /// A topic that was made again has another id than the log that its partitions read.
    fn compare_ids(&self, due: &[&Arc<PartitionLedger>], now: &HashMap<String, TopicNow>) {
        for ledger in due {
            let Some(id) = now.get(ledger.topic()).and_then(TopicNow::id) else { continue };
            match ledger.topic_id() {
                None => ledger.identify(id),
                Some(known) if *known == id => {}
                Some(_) => {
                    self.watch.state.orders.give(PollerOrder::MadeAgain { topic: ledger.topic_name(), topic_id: id })
                }
            }
        }
    }

    /// Partitions whose beginning was not known at their assignment.
    fn ask_for_beginnings(&self, due: &[&Arc<PartitionLedger>]) {
        let held: Vec<_> = due.iter().filter(|ledger| ledger.held().is_some()).collect();
        let names: Vec<PartitionName> = held.iter().map(|ledger| name_of(ledger)).collect();
        let mut begins = starts::ask(&self.consumer, &self.watch.first_start, &names, ASK_TIMEOUT);
        for ledger in held {
            match begins.remove(&name_of(ledger)) {
                None => {}
                Some(Begin::Unknown(hold)) => ledger.hold(hold),
                Some(begin) => {
                    let (topic, partition, epoch) = (ledger.topic_name(), ledger.partition(), ledger.epoch());
                    self.watch.state.orders.give(PollerOrder::Begin { topic, partition, epoch, begin });
                }
            }
        }
    }

    /// Asks for extents, and notes of which partitions they were answered; those without a leader are left out, for they
    /// would hold up the answers of the others.
    fn ask_for_extents(
        &self,
        due: &[&Arc<PartitionLedger>],
        now: &HashMap<String, TopicNow>,
        answered: &mut BTreeSet<PartitionName>,
    ) -> Result<(), KafkaError> {
        let is_led = |ledger: &&Arc<PartitionLedger>| {
            now.get(ledger.topic()).is_some_and(|topic| topic.has_leader(ledger.partition()))
        };
        let led: Vec<_> = due.iter().copied().filter(is_led).collect();
        for led in led.chunks(ASK_PARTITIONS_MAX) {
            let asked_ms = clock::wall_ms();
            let (begins, ends) = (self.ask_for_offsets(led, EARLIEST)?, self.ask_for_offsets(led, LATEST)?);
            let (begins, ends) = (begins.elements(), ends.elements());
            let (begins, ends) = (by_partition(&begins), by_partition(&ends));
            for ledger in led {
                let of = |offsets: &HashMap<(&str, i32), i64>| {
                    offsets.get(&(ledger.topic(), ledger.partition())).copied().unwrap_or(UNKNOWN)
                };
                let (begin, end) = (of(&begins), of(&ends));
                if begin >= 0 && end >= 0 {
                    answered.insert(name_of(ledger));
                }
                ledger.asked_log(begin, end, asked_ms);
            }
        }
        Ok(())
    }

    fn ask_for_offsets(&self, led: &[&Arc<PartitionLedger>], which: i64) -> Result<TopicPartitionList, KafkaError> {
        let mut asked = TopicPartitionList::with_capacity(led.len());
        for ledger in led {
            asked.add_partition_offset(ledger.topic(), ledger.partition(), Offset::from_raw(which))?;
        }
        self.consumer.offsets_for_times(asked, ASK_TIMEOUT)
    }

    /// Brings back partitions whose log does not reach as far as they were read: they go on where the operator wants,
    /// if it was so twice.
    fn bring_back(&self, due: &[&Arc<PartitionLedger>], out_of_log: &BTreeSet<(PartitionName, u64)>) {
        if out_of_log.is_empty() {
            return;
        }
        for ledger in due {
            let key = (name_of(ledger), ledger.epoch());
            let Some((begin, end)) = ledger.extent() else { continue };
            let is_cut = ledger.next_offset().is_some_and(|next| next > end);
            if !is_cut || !out_of_log.contains(&key) || !self.out_of_log.contains(&key) {
                continue;
            }
            let offset = match self.watch.offset_lost {
                OffsetLostPolicy::Earliest => begin,
                OffsetLostPolicy::Latest => end,
                OffsetLostPolicy::Stop => continue,
            };
            let ((topic, partition), epoch) = key;
            self.watch.state.orders.give(PollerOrder::GoBack { topic, partition, epoch, offset });
        }
    }

    /// A line a minute for each topic and reason, as long as it lasts.
    fn say_again(&mut self, groups: &[PartitionStallGroup], now: Instant) {
        if groups.is_empty() || now.saturating_duration_since(self.said_at) < SAY_EVERY {
            return;
        }
        self.said_at = now;
        for PartitionStallGroup { topic, why, words, since, partitions, lag } in groups {
            let (why, seconds) = (why.as_str(), now.saturating_duration_since(*since).as_secs());
            tracing::warn!(%topic, ?partitions, why, words, seconds, lag, "partitions of {topic} are stalled");
        }
    }

    fn try_unexplained(&mut self, assigned: &[Arc<PartitionLedger>]) {
        let unexplained = self.standings.unexplained();
        let standing = self.standings.standing();
        self.tries.keep(|name| standing.iter().any(|one| (&one.topic, one.partition) == (&name.0, name.1)));
        let next = |name: &PartitionName| {
            let ledger = assigned.iter().find(|ledger| name_of(ledger) == *name)?;
            ledger.next_offset().or(ledger.extent().map(|(begin, _)| begin))
        };
        self.tries.try_next(
            &self.consumer,
            unexplained.iter().filter_map(|name| Some((name, next(name)?))),
            clock::now(),
        );
    }

    fn seen(&self, ledger: &PartitionLedger, silent: Option<&str>) -> PartitionObservation {
        let topic = match (self.topics.get(ledger.topic()), silent) {
            (_, Some(words)) => TopicSeen::Unknown(words.to_owned()),
            (None, None) | (Some(TopicNow::Absent), None) => TopicSeen::Absent,
            (Some(TopicNow::Refused(words)), None) => TopicSeen::Refused(words.clone()),
            (Some(topic), None) if topic.has_leader(ledger.partition()) => TopicSeen::Led,
            (Some(_), None) => TopicSeen::NotLed,
        };
        let name = (ledger.topic_name(), ledger.partition());
        PartitionObservation {
            epoch: ledger.epoch(),
            lag: ledger.lag(),
            received: ledger.received_events(),
            outstanding: ledger.outstanding().0,
            committable: ledger.committable(),
            held: ledger.held(),
            topic_held: ledger.is_topic_held(),
            paused: ledger.paused(),
            topic,
            waits_for_transaction: ledger.waits_for_transaction(),
            tried: self.tries.of(&name),
            out_of_log: self.out_of_log.contains(&(name, ledger.epoch())),
        }
    }
}

/// The offsets that were answered, to be found without looking through the whole list for each.
fn by_partition<'a>(elements: &'a [TopicPartitionListElem<'_>]) -> HashMap<(&'a str, i32), i64> {
    let offset = |element: &TopicPartitionListElem<'_>| match (element.error(), element.offset()) {
        (Ok(()), Offset::Offset(offset)) => offset,
        _ => UNKNOWN,
    };
    elements.iter().map(|element| ((element.topic(), element.partition()), offset(element))).collect()
}

/// An offset that was not answered.
const UNKNOWN: i64 = -1;
/// ListOffsets' words for the beginning and the end.
const EARLIEST: i64 = -2;
pub(super) const LATEST: i64 = -1;

fn name_of(ledger: &Arc<PartitionLedger>) -> PartitionName {
    (ledger.topic_name(), ledger.partition())
}

/// `next` is what was to be read next before the log was asked for its end.
fn is_out(ledger: &Arc<PartitionLedger>, next: i64) -> Option<(PartitionName, u64)> {
    let (begin, end) = ledger.extent()?;
    let has_read_on = ledger.next_offset() != Some(next);
    (!has_read_on && (next < begin || next > end)).then(|| (name_of(ledger), ledger.epoch()))
}
