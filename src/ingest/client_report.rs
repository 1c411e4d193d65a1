//! ○ The client's statistics, as far as they are read here: which brokers answer, what the group says, and where partitions
//! end. They name each partition with some sixty numbers, and come to the poll thread; the rest is passed over.

use std::collections::HashMap;

use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub struct ClientReport<'a> {
    #[serde(borrow)]
    brokers: HashMap<String, Broker<'a>>,
    topics: HashMap<String, Topic>,
    #[serde(borrow)]
    cgrp: Option<Group<'a>>,
}

#[derive(Debug, Deserialize)]
struct Broker<'a> {
    state: &'a str,
}

#[derive(Debug, Deserialize)]
struct Group<'a> {
    join_state: &'a str,
}

#[derive(Debug, Deserialize)]
struct Topic {
    partitions: HashMap<i32, PartitionReport>,
}

/// Offsets, negative where they are not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct PartitionReport {
    pub lo_offset: i64,
    pub hi_offset: i64,
    /// The end of what a reader of committed records may read.
    pub ls_offset: i64,
    /// Everything below was fetched.
    pub next_offset: i64,
}

impl<'a> ClientReport<'a> {
    /// # Errors
    /// When it is no report.
    pub fn parse(json: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    #[must_use]
    pub fn is_any_broker_up(&self) -> bool {
        self.brokers.values().any(|broker| broker.state == "UP")
    }

    /// The client has joined no group, or waits for its word.
    #[must_use]
    pub fn is_out_of_group(&self) -> bool {
        self.cgrp.as_ref().is_some_and(|group| group.join_state != "steady")
    }

    #[must_use]
    pub fn partition(&self, topic: &str, partition: i32) -> Option<&PartitionReport> {
        self.topics.get(topic)?.partitions.get(&partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_here_is_found_among_all_the_rest() {
        let json = r#"{ "name": "postrider#consumer-1", "ts": 5016, "replyq": 0, "msg_size": 12,
            "brokers": { "kafka:9092/2": { "name": "kafka:9092/2", "nodeid": 2, "state": "UP", "req": { "Fetch": 2 },
                "rtt": { "min": 1, "p99_99": 3 }, "toppars": { "orders-1": { "topic": "orders", "partition": 1 } } } },
            "topics": { "orders": { "topic": "orders", "age": 9060, "batchsize": { "min": 0 }, "partitions": {
                "1": { "partition": 1, "broker": 2, "fetchq_cnt": 0, "fetch_state": "active", "query_offset": -1001,
                    "next_offset": 13, "app_offset": 12, "stored_leader_epoch": -1, "committed_offset": 12,
                    "eof_offset": 13, "lo_offset": 3, "hi_offset": 15, "ls_offset": 14, "consumer_lag": 2 },
                "-1": { "partition": -1, "next_offset": -1, "lo_offset": -1, "hi_offset": -1, "ls_offset": -1 } } } },
            "cgrp": { "state": "up", "stateage": 1, "join_state": "steady", "rebalance_age": 7 }, "tx": 1, "rxmsgs": 0 }"#;
        let report = ClientReport::parse(json.as_bytes()).expect("it is a report");
        assert!(report.is_any_broker_up() && !report.is_out_of_group());
        let expected = PartitionReport { lo_offset: 3, hi_offset: 15, ls_offset: 14, next_offset: 13 };
        assert_eq!(report.partition("orders", 1), Some(&expected));
        assert_eq!((report.partition("orders", 2), report.partition("refunds", 1)), (None, None));
    }

    #[test]
    fn who_waits_for_the_groups_word_is_out_of_it_and_who_has_no_group_is_not() {
        let out = |json: &str| ClientReport::parse(json.as_bytes()).expect("it is a report").is_out_of_group();
        assert!(out(r#"{ "brokers": {}, "topics": {}, "cgrp": { "join_state": "wait-join" } }"#));
        assert!(!out(r#"{ "brokers": {}, "topics": {} }"#));
        assert!(ClientReport::parse(b"{}").is_err());
    }
}
