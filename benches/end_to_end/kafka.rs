//! ● The benchmark's topics, and how far a consumer group has come.

use std::{
    collections::HashSet,
    io, thread,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    metadata::MetadataTopic,
};

/// Topics that are deleted when this is dropped.
pub struct Topics {
    brokers: String,
    admin: AdminClient<DefaultClientContext>,
    runtime: tokio::runtime::Runtime,
    made: Vec<String>,
}

impl Topics {
    pub fn new(brokers: &str) -> io::Result<Self> {
        let admin = client(brokers).create().map_err(io::Error::other)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Topics { brokers: brokers.to_owned(), admin, runtime, made: Vec::new() })
    }

    /// A topic that stays empty.
    pub fn empty(&mut self) -> io::Result<String> {
        match self.made.iter().find(|name| name.ends_with("-empty")) {
            Some(name) => Ok(name.clone()),
            None => self.create("empty", 1),
        }
    }

    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// A new topic of this name and the process's id.
    pub fn create(&mut self, name: &str, partitions: i32) -> io::Result<String> {
        Ok(self.create_all(&[name.to_owned()], partitions)?.remove(0))
    }

    /// The same for many, some at a time: a broker answers late when it makes thousands of logs.
    pub fn create_all(&mut self, names: &[String], partitions: i32) -> io::Result<Vec<String>> {
        let names: Vec<String> = names.iter().map(|name| format!("bench-{}-{name}", std::process::id())).collect();
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
        for some in names.chunks(CREATED_AT_ONCE) {
            let topics: Vec<NewTopic<'_>> =
                some.iter().map(|name| NewTopic::new(name, partitions, TopicReplication::Fixed(1))).collect();
            let created = self.runtime.block_on(self.admin.create_topics(&topics, &options));
            self.made.extend(some.iter().cloned());
            for result in created.map_err(io::Error::other)? {
                result.map_err(|(topic, code)| io::Error::other(format!("topic {topic}: {code}")))?;
            }
        }
        self.wait_until_led(&names)?;
        Ok(names)
    }

    /// Until each partition has a leader: a broker with thousands of new logs is late with them.
    fn wait_until_led(&self, names: &[String]) -> io::Result<()> {
        let started = Instant::now();
        loop {
            let all = self.admin.inner().fetch_metadata(None, LED_MAX).map_err(io::Error::other)?;
            let led: HashSet<&str> = all
                .topics()
                .iter()
                .filter(|topic| !topic.partitions().is_empty() && topic.partitions().iter().all(|p| p.leader() >= 0))
                .map(MetadataTopic::name)
                .collect();
            if names.iter().all(|name| led.contains(name.as_str())) {
                return Ok(());
            }
            if started.elapsed() > LED_MAX {
                return Err(io::Error::other("some new topics have no leaders"));
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Gives its disk back before the run ends.
    pub fn delete(&mut self, name: &str) {
        let _ = self.runtime.block_on(self.admin.delete_topics(&[name], &AdminOptions::new()));
        self.made.retain(|made| made != name);
    }
}

impl Drop for Topics {
    fn drop(&mut self) {
        let names: Vec<&str> = self.made.iter().map(String::as_str).collect();
        if !names.is_empty() {
            let _ = self.runtime.block_on(self.admin.delete_topics(&names, &AdminOptions::new()));
        }
    }
}

/// Watches what a group has committed of a topic, without being a member.
pub struct Commits {
    consumer: BaseConsumer,
    topic: String,
    partitions: i32,
}

/// The committed offsets and the ends of a topic's partitions, at one time.
pub struct Position {
    pub committed: Vec<i64>,
    pub ends: Vec<i64>,
}

impl Commits {
    pub fn watch(brokers: &str, group: &str, topic: &str, partitions: i32) -> io::Result<Self> {
        let consumer = client(brokers).set("group.id", group).create().map_err(io::Error::other)?;
        Ok(Commits { consumer, topic: topic.to_owned(), partitions })
    }

    pub fn position(&self) -> io::Result<Position> {
        let timeout = Duration::from_secs(5);
        let mut list = TopicPartitionList::new();
        let mut ends = Vec::new();
        for partition in 0..self.partitions {
            list.add_partition(&self.topic, partition);
            let (_, end) = self.consumer.fetch_watermarks(&self.topic, partition, timeout).map_err(io::Error::other)?;
            ends.push(end);
        }
        let committed = self.consumer.committed_offsets(list, timeout).map_err(io::Error::other)?;
        let committed = committed
            .elements()
            .iter()
            .map(|element| match element.offset() {
                Offset::Offset(offset) => offset,
                _ => 0, // nothing committed yet
            })
            .collect();
        Ok(Position { committed, ends })
    }
}

fn client(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    config
}

const CREATED_AT_ONCE: usize = 100;
const LED_MAX: Duration = Duration::from_secs(120);
