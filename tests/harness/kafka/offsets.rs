//! Offsets of the group and of the topics.

use super::*;

impl Kafka {
    /// The group's commits: topic, partition and offset, of the partitions that have a commit.
    pub fn committed(&self) -> Vec<(String, i32, i64)> {
        let mut asked = TopicPartitionList::new();
        for (topic, partition) in self.partitions() {
            asked.add_partition(&topic, partition);
        }
        // A broker that was paused answers for a moment that it is not the one to ask.
        let look = || self.observer.committed_offsets(asked.clone(), TIMEOUT).ok();
        let found = super::super::eventually("committed offsets", look);
        let offset = |offset: Offset| match offset {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        };
        found
            .elements()
            .iter()
            .filter_map(|at| Some((at.topic().to_owned(), at.partition(), offset(at.offset())?)))
            .collect()
    }

    /// Records that the group has not committed yet.
    pub fn lag(&self) -> i64 {
        let committed = self.committed();
        let behind = |(topic, partition): (String, i32)| {
            let (low, end) = self.observer.fetch_watermarks(&topic, partition, TIMEOUT).expect("watermarks");
            let at = committed.iter().find(|(t, p, _)| (t, *p) == (&topic, partition)).map_or(low, |found| found.2);
            end - at
        };
        self.partitions().into_iter().map(behind).sum()
    }

    /// The group's commits, and what stands beside each.
    pub fn commits_with_notes(&self) -> Vec<(String, i32, i64, String)> {
        let mut asked = TopicPartitionList::new();
        for (topic, partition) in self.partitions() {
            asked.add_partition(&topic, partition);
        }
        let found = self.observer.committed_offsets(asked, TIMEOUT).expect("committed offsets");
        let elements = found.elements();
        let commit = |at: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match at.offset() {
            Offset::Offset(offset) => Some((at.topic().to_owned(), at.partition(), offset, at.metadata().to_owned())),
            _ => None,
        };
        elements.iter().filter_map(commit).collect()
    }

    /// Commits for the group, as a member that is long gone would.
    pub fn commit(&self, commits: &[(String, i32, i64, String)]) {
        let mut list = TopicPartitionList::new();
        for (topic, partition, offset, note) in commits {
            let mut element = list.add_partition(topic, *partition);
            element.set_offset(Offset::Offset(*offset)).expect("an offset");
            element.set_metadata(note);
        }
        self.observer.commit(&list, rdkafka::consumer::CommitMode::Sync).expect("the group has no members");
    }

    /// Where a partition ends.
    pub fn end(&self, topic: &str, partition: i32) -> i64 {
        self.observer.fetch_watermarks(topic, partition, TIMEOUT).expect("watermarks").1
    }

    /// The offsets of a partition that a reader of committed records meets.
    pub fn readable(&self, topic: &str, partition: i32) -> HashSet<i64> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers()).set("group.id", format!("{}-reader", self.group));
        config.set("enable.partition.eof", "true").set("enable.auto.commit", "false");
        let reader: BaseConsumer = config.create().expect("a reader");
        let mut from = TopicPartitionList::new();
        from.add_partition_offset(topic, partition, Offset::Beginning).expect("a place");
        reader.assign(&from).expect("it is assigned");
        let mut met = HashSet::new();
        loop {
            match reader.poll(TIMEOUT).expect("a record or the end") {
                Ok(record) => drop(met.insert(record.offset())),
                Err(KafkaError::PartitionEOF(_)) => return met,
                Err(error) => panic!("{topic} cannot be read: {error}"),
            }
        }
    }

    /// The group's members' count, as the broker sees it.
    pub fn members(&self) -> usize {
        let groups = self.observer.fetch_group_list(Some(&self.group), TIMEOUT).expect("the group");
        groups.groups().first().map_or(0, |group| group.members().len())
    }

    pub(super) fn partitions(&self) -> Vec<(String, i32)> {
        let topics = self.topics.lock().unwrap().clone();
        let partitions = |topic: String| {
            let metadata = self.observer.fetch_metadata(Some(&topic), TIMEOUT).expect("metadata");
            let ids: Vec<i32> = metadata.topics()[0].partitions().iter().map(|partition| partition.id()).collect();
            ids.into_iter().map(move |id| (topic.clone(), id)).collect::<Vec<_>>()
        };
        topics.into_iter().flat_map(partitions).collect()
    }
}
