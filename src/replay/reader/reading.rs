//! ● One partition, read for all its replays.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _, DefaultConsumerContext, base_consumer::PartitionQueue},
    error::{KafkaError, RDKafkaErrorCode},
    message::{BorrowedMessage, Message as _, Timestamp},
};

use super::{
    Bounds,
    log_lookup::LogLookup,
    turn::{ReadingHand, Taken},
};
use crate::{
    backlog::drainer::Surroundings,
    clock,
    ingest::{consumer::record_of, decode::Decoder},
    model::event::{Fields, Record},
    replay::{
        positions,
        range::Extent,
        read_plan::{self, ReadStep, ReaderPosition, View},
        replay_partition::ReplayPart,
    },
    telemetry::handles::ReplayMetrics,
};

/// A partition that somebody replays.
pub(super) struct Reading {
    topic: Arc<str>,
    partition: i32,
    decoder: Decoder,
    pub(super) parts: Vec<Arc<ReplayPart>>,
    /// Made when it is first read.
    queue: Option<PartitionQueue<DefaultConsumerContext>>,
    position: ReaderPosition,
    lookup: LogLookup,
    read_since_seek: u64,
    /// After a failure it is left alone for a while.
    not_before: Option<Instant>,
}

impl Reading {
    pub(super) fn new(topic: Arc<str>, partition: i32, decoder: Decoder) -> Self {
        let (parts, queue) = (Vec::new(), None);
        let (position, lookup) = (ReaderPosition::default(), LogLookup::default());
        Reading { topic, partition, decoder, parts, queue, position, lookup, read_since_seek: 0, not_before: None }
    }

    pub(super) fn is_of(&self, topic: &str, partition: i32) -> bool {
        self.partition == partition && *self.topic == *topic
    }

    /// An answer that was asked for before a part came may be older than what that part is to read.
    pub(super) fn forget_lookup(&mut self) {
        self.lookup = LogLookup::default();
    }

    /// Nobody replays it any more.
    pub(super) fn end(self, consumer: &BaseConsumer) {
        if self.queue.is_some() {
            let mut over = TopicPartitionList::new();
            over.add_partition(&self.topic, self.partition);
            if let Err(error) = consumer.incremental_unassign(&over) {
                tracing::debug!(%error, "a partition that is no longer replayed cannot be let go");
            }
        }
    }

    pub(super) fn forget_consumer(&mut self) {
        self.queue = None;
        self.position.forget();
    }

    /// Reads some records; true when there may be more at once.
    pub(super) fn turn(
        &mut self,
        consumer: &Arc<BaseConsumer>,
        bounds: &mut Bounds,
        surroundings: &dyn Surroundings,
        metrics: &ReplayMetrics,
    ) -> bool {
        let now = clock::now();
        if self.not_before.is_some_and(|at| now < at) {
            return false;
        }
        let mut hand = ReadingHand::new(self, bounds, surroundings, now);
        for _ in 0..RECORDS_A_TURN {
            if !bounds.events.has_any(now) {
                bounds.rate.was_short();
                break;
            }
            if !bounds.records.has_any(now) {
                break;
            }
            let step = read_plan::step(self.position.at(), self.read_since_seek, &hand.views(self));
            let done = match step {
                ReadStep::Rest => break,
                ReadStep::Seek(to) => self.go_to(to, consumer, metrics),
                ReadStep::Read => self.read(bounds, &mut hand, metrics),
            };
            match done {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(topic = %self.topic, partition = self.partition, %error, "a replay cannot be read");
                    self.position.forget();
                    self.not_before = Some(clock::now() + AFTER_FAILURE); // what failed may have taken a while
                    break;
                }
            }
        }
        hand.give_out(self)
    }

    /// Goes to an offset, or counts what is missing there; false while it is not known yet where the log begins and ends.
    fn go_to(&mut self, to: i64, consumer: &Arc<BaseConsumer>, metrics: &ReplayMetrics) -> Result<bool, KafkaError> {
        let end = self.parts.iter().map(|part| part.progress().end()).max().unwrap_or(to);
        let (asked, topic, partition) = (Arc::clone(consumer), Arc::clone(&self.topic), self.partition);
        let answer = self.lookup.poll(end, move || positions::extent(&asked, &topic, partition))?;
        let Some(extent) = answer else { return Ok(false) };
        self.count_gaps(extent, metrics);
        if to < extent.low || to >= extent.high {
            return Ok(true); // who wanted to read there is further now
        }
        let offset = Offset::Offset(to);
        if self.queue.is_some() {
            consumer.seek(&self.topic, self.partition, offset, KAFKA_TIMEOUT)?;
        } else {
            // Split first: no record of it may come out of the common queue.
            let queue = consumer.split_partition_queue(&self.topic, self.partition);
            let mut assignment = TopicPartitionList::new();
            assignment.add_partition_offset(&self.topic, self.partition, offset)?;
            consumer.incremental_assign(&assignment)?;
            self.queue = queue;
        }
        self.position = ReaderPosition::sought(to, extent.high);
        self.read_since_seek = 0;
        Ok(true)
    }

    /// Counts as gaps, for every part, the offsets that Kafka no longer has: deleted at the beginning, or beyond the
    /// end of a log that is shorter now.
    fn count_gaps(&self, Extent { low, high, .. }: Extent, metrics: &ReplayMetrics) {
        for part in &self.parts {
            let (from, offsets) = {
                let mut progress = part.progress();
                let (from, end) = (progress.read_next(), progress.end());
                (from, progress.gap(low) + if progress.read_next() >= high { progress.gap(end) } else { 0 })
            };
            if offsets > 0 {
                metrics.gap_offsets.increment(offsets.unsigned_abs());
                tracing::warn!(
                    replay.id = %part.name.replay_id, endpoint.id = %part.name.endpoint_id, topic = %self.topic,
                    partition = self.partition, from, offsets, "Kafka no longer has what is to be replayed: a gap"
                );
            }
        }
    }

    /// Takes one record or the end; false when nothing has come yet.
    fn read(
        &mut self,
        bounds: &mut Bounds,
        hand: &mut ReadingHand,
        metrics: &ReplayMetrics,
    ) -> Result<bool, KafkaError> {
        let polled = match &self.queue {
            Some(queue) => {
                queue.poll(Duration::ZERO).map(|result| result.map(|message| (record_of(&message), appended(&message))))
            }
            None => return Ok(false),
        };
        match polled {
            None => Ok(false),
            Some(Ok((record, appended_ms))) => {
                bounds.records.take(1);
                self.read_since_seek += 1;
                hand.has_read = true;
                let events = self.hand_out(record, appended_ms, bounds.options.event_bytes_max, hand);
                bounds.events.take(events);
                metrics.events.increment(events as u64);
                Ok(true)
            }
            Some(Err(KafkaError::PartitionEOF(_))) => {
                self.at_the_end();
                Ok(true)
            }
            Some(Err(KafkaError::MessageConsumption(
                RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange,
            ))) => {
                self.position.forget(); // going there again counts what is missing
                Ok(true)
            }
            Some(Err(error)) => Err(error),
        }
    }

    /// Ends the parts that have read all that there was.
    fn at_the_end(&mut self) {
        let Some(gone) = self.position.reached_end() else { return };
        for part in &self.parts {
            let mut progress = part.progress();
            if progress.read_next() >= gone.start {
                progress.pass(gone.end);
            }
        }
    }

    /// Gives a record to the parts that are here and want it; returns how many did.
    fn hand_out(
        &mut self,
        record: Record,
        appended_ms: Option<i64>,
        event_bytes_max: usize,
        hand: &mut ReadingHand,
    ) -> usize {
        let offset = record.offset;
        let Some(at) = self.position.at().filter(|at| offset >= *at) else { return 0 };
        self.position.read(offset);
        let mut fields: Option<Option<Fields>> = None;
        let mut events = 0;
        for (place, part) in self.parts.iter().enumerate() {
            let View { read_next, end, has_room } = hand.view(place, part);
            if !has_room || !read_plan::is_here(at, offset, read_next) {
                continue;
            }
            if part.ends_before(appended_ms) {
                part.progress().pass(end);
                continue;
            }
            if offset < end && part.wants(record.timestamp_ms) {
                let fields = fields.get_or_insert_with(|| self.decode(&record, event_bytes_max));
                if let (Some(fields), Some(key)) = (fields, hand.endpoint(place)) {
                    match hand.take(place, part, key, &record, fields) {
                        Taken::Yes => events += 1,
                        Taken::No => {}
                        Taken::Unknown => continue,
                    }
                }
            }
            part.progress().pass(offset + 1);
        }
        events
    }

    /// Decodes a record. One that is no event is none today either: the operator has it as a dead letter.
    fn decode(&self, record: &Record, event_bytes_max: usize) -> Option<Fields> {
        if record.bytes.len() > event_bytes_max {
            return None;
        }
        match catch_unwind(AssertUnwindSafe(|| self.decoder.decode(record))) {
            Ok(decoded) => decoded.ok(),
            Err(_) => {
                tracing::error!(topic = %self.topic, offset = record.offset, "a record makes decoding panic; it is no event");
                None
            }
        }
    }
}

/// Time at which the broker appended a record, where its times are the broker's: milliseconds since 1970.
fn appended(message: &BorrowedMessage<'_>) -> Option<i64> {
    match message.timestamp() {
        Timestamp::LogAppendTime(ms) => Some(ms),
        _ => None,
    }
}

const RECORDS_A_TURN: usize = 256;
const KAFKA_TIMEOUT: Duration = Duration::from_secs(10);
const AFTER_FAILURE: Duration = Duration::from_secs(1);
