//! ● What was produced, and where it landed.

use std::{
    collections::HashMap,
    sync::{Condvar, Mutex},
    time::Instant,
};

/// Where a record lies.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KafkaPosition {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
}

/// An event that was handed to Kafka.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Its running number: what the ledgers know it by.
    pub seq: u32,
    pub tenant: Option<String>,
    pub department: Option<String>,
    /// Events of one lane share a key, and so a partition.
    pub lane: Option<u32>,
    pub at: Instant,
    pub topic: u16,
    pub partition: i32,
    /// `-1` until Kafka has said it.
    pub offset: i64,
}

/// The producer's side of the records.
#[derive(Default)]
pub struct Produced {
    records: Mutex<Records>,
    landed: Condvar,
}

#[derive(Default)]
struct Records {
    topics: Vec<String>,
    sent: Vec<Sent>,
    /// The events of a partition by their offsets.
    by_place: HashMap<(u16, i32), Vec<Option<u32>>>,
    /// Below these offsets, what has no event is a gap for ever.
    complete: HashMap<(u16, i32), i64>,
    landed: usize,
    failures: Vec<String>,
}

impl Produced {
    /// Gives the event its number.
    pub fn add(&self, topic: &str, tenant: Option<&str>, department: Option<&str>, lane: Option<u32>) -> u32 {
        let mut records = self.records.lock().unwrap();
        let topic = records.topic(topic);
        let seq = u32::try_from(records.sent.len()).expect("fewer events than that");
        let [tenant, department] = [tenant, department].map(|text| text.map(str::to_owned));
        records.sent.push(Sent { seq, tenant, department, lane, at: Instant::now(), topic, partition: -1, offset: -1 });
        seq
    }

    /// Kafka has it.
    pub fn landed(&self, seq: u32, landed: Result<(i32, i64), String>) {
        let mut records = self.records.lock().unwrap();
        match landed {
            Ok((partition, offset)) => records.landed(seq, partition, offset),
            Err(error) => records.failures.push(format!("event {seq}: {error}")),
        }
        drop(records);
        self.landed.notify_all();
    }

    /// Waits until Kafka has all of them. The client library has a deadline of its own.
    #[track_caller]
    pub fn await_landed(&self) {
        let records = self.records.lock().unwrap();
        let all = |records: &mut Records| records.landed + records.failures.len() < records.sent.len();
        let records = self.landed.wait_while(records, all).unwrap();
        assert!(records.failures.is_empty(), "Kafka did not take {:?}", records.failures);
    }

    pub fn count(&self) -> usize {
        self.records.lock().unwrap().sent.len()
    }

    /// Calls `each` with everything that landed so far.
    pub fn each(&self, mut each: impl FnMut(&Sent)) {
        self.records.lock().unwrap().sent.iter().filter(|sent| sent.offset >= 0).for_each(&mut each);
    }

    /// As [`Produced::each`], with the topic's name.
    pub fn each_at(&self, mut each: impl FnMut(&Sent, &str)) {
        let records = self.records.lock().unwrap();
        for sent in records.sent.iter().filter(|sent| sent.offset >= 0) {
            each(sent, &records.topics[sent.topic as usize]);
        }
    }

    /// Calls `each` with these events, in this order.
    pub fn each_of(&self, seqs: &[(u32, Instant)], mut each: impl FnMut(&Sent, Instant)) {
        let records = self.records.lock().unwrap();
        for (seq, at) in seqs {
            records.sent.get(*seq as usize).into_iter().for_each(|sent| each(sent, *at));
        }
    }

    /// Where an event lies.
    #[track_caller]
    pub fn place(&self, seq: u32) -> KafkaPosition {
        let records = self.records.lock().unwrap();
        let sent = &records.sent[seq as usize];
        assert!(sent.offset >= 0, "event {seq} has not landed");
        KafkaPosition {
            topic: records.topics[sent.topic as usize].clone(),
            partition: sent.partition,
            offset: sent.offset,
        }
    }

    /// Nothing will land in this partition below `end` any more: what has no event there is a gap.
    pub fn complete(&self, topic: &str, partition: i32, end: i64) {
        let mut records = self.records.lock().unwrap();
        let topic = records.topic(topic);
        records.complete.insert((topic, partition), end);
    }

    /// The number of the event at a place, if there is one.
    pub fn at(&self, place: &KafkaPosition) -> Option<u32> {
        let mut records = self.records.lock().unwrap();
        let topic = records.topic(&place.topic);
        *records.by_place.get(&(topic, place.partition))?.get(usize::try_from(place.offset).ok()?)?
    }

    /// The events of a partition from `from` up to `to`, in order, and how far they are known: up to the first offset
    /// whose event has not been heard of yet.
    pub fn range(&self, topic: &str, partition: i32, from: i64, to: i64) -> (Vec<Sent>, i64) {
        let mut records = self.records.lock().unwrap();
        let topic = records.topic(topic);
        let complete = records.complete.get(&(topic, partition)).copied().unwrap_or(0);
        let offsets = records.by_place.get(&(topic, partition)).map_or(&[][..], Vec::as_slice);
        let (mut events, mut at) = (Vec::new(), from);
        while at < to {
            match offsets.get(at as usize).copied().flatten() {
                Some(seq) => events.push(records.sent[seq as usize].clone()),
                None if at < complete => {}
                None => break,
            }
            at += 1;
        }
        (events, at)
    }
}

impl Records {
    fn topic(&mut self, name: &str) -> u16 {
        let found = self.topics.iter().position(|known| known == name);
        let index = found.unwrap_or_else(|| {
            self.topics.push(name.to_owned());
            self.topics.len() - 1
        });
        u16::try_from(index).expect("a story has few topics")
    }

    fn landed(&mut self, seq: u32, partition: i32, offset: i64) {
        // A second try of what was stored already is confirmed without the place (`DUPLICATE_SEQUENCE_NUMBER`).
        let Ok(index) = usize::try_from(offset) else {
            self.failures.push(format!("event {seq}: Kafka has it and does not say where"));
            return;
        };
        let sent = &mut self.sent[seq as usize];
        (sent.partition, sent.offset) = (partition, offset);
        let offsets = self.by_place.entry((sent.topic, partition)).or_default();
        if offsets.len() <= index {
            offsets.resize(index + 1, None);
        }
        offsets[index] = Some(seq);
        self.landed += 1;
    }
}
