//! ● Kafka's answer about topics: the log behind a name, and the partitions of it that have a leader.
//!
//! A topic that is deleted and made again has its old name and another id. librdkafka's own client knows the id, and tells
//! it through one call of its C interface, which the crate does not wrap.

use std::{
    collections::HashMap,
    ffi::{CStr, CString, c_char},
    ptr,
    sync::Arc,
    time::Duration,
};

use rdkafka::{
    bindings as rd,
    client::{Client, ClientContext},
    error::{KafkaError, RDKafkaErrorCode},
    types::RDKafkaRespErr,
};

use crate::clock;

/// A topic as the cluster knows it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopicNow {
    There {
        /// `None` from brokers before 2.8, which have none.
        id: Option<Arc<str>>,
        /// Each partition, and the id of the broker that leads it, if one does.
        leaders: HashMap<i32, Option<i32>>,
    },
    /// There is no such topic.
    Absent,
    /// The broker's words.
    Refused(String),
}

impl TopicNow {
    #[must_use]
    pub fn id(&self) -> Option<Arc<str>> {
        match self {
            TopicNow::There { id, .. } => id.clone(),
            TopicNow::Absent | TopicNow::Refused(_) => None,
        }
    }

    /// The broker that answers for the partition, if one does.
    #[must_use]
    pub fn leader(&self, partition: i32) -> Option<i32> {
        match self {
            TopicNow::There { leaders, .. } => leaders.get(&partition).copied().flatten(),
            TopicNow::Absent | TopicNow::Refused(_) => None,
        }
    }

    #[must_use]
    pub fn has_leader(&self, partition: i32) -> bool {
        self.leader(partition).is_some()
    }
}

/// Asks the cluster. Blocks; creates no topic.
///
/// While no broker is up, librdkafka's threads wake each other for a request like this one as fast as they can (2.12.1: half
/// a core to a whole one, and twenty connections a second). So a plain metadata request, which waits, goes before it. That one
/// goes to any broker; one that hangs says nothing about the controller.
///
/// # Errors
/// When the cluster does not answer in time.
pub fn ask<C: ClientContext>(
    client: &Client<C>,
    topics: &[&str],
    timeout: Duration,
) -> Result<HashMap<String, TopicNow>, KafkaError> {
    let Some(first) = topics.first() else {
        return Ok(HashMap::new());
    };
    let until = clock::now() + timeout;
    match client.fetch_metadata(Some(first), timeout / 2) {
        Ok(_) | Err(KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut)) => {}
        Err(error) => return Err(error),
    }
    describe(client, topics, until.saturating_duration_since(clock::now()))
}

fn describe<C: ClientContext>(
    client: &Client<C>,
    topics: &[&str],
    timeout: Duration,
) -> Result<HashMap<String, TopicNow>, KafkaError> {
    let names: Vec<CString> = topics.iter().filter_map(|name| CString::new(*name).ok()).collect();
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client outlives the call; everything that is made here is destroyed below, after the last use of what
    // points into it; `names` outlives `pointers`.
    unsafe {
        let handle = client.native_ptr();
        let queue = rd::rd_kafka_queue_new(handle);
        let options = rd::rd_kafka_AdminOptions_new(handle, rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
        rd::rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, ptr::null_mut(), 0);
        let wanted = rd::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        rd::rd_kafka_DescribeTopics(handle, wanted, options, queue);
        let event = rd::rd_kafka_queue_poll(queue, timeout_ms.saturating_add(GRACE_MS));
        let answer = answer_of(event);
        if !event.is_null() {
            rd::rd_kafka_event_destroy(event);
        }
        rd::rd_kafka_TopicCollection_destroy(wanted);
        rd::rd_kafka_AdminOptions_destroy(options);
        rd::rd_kafka_queue_destroy(queue);
        answer
    }
}

/// librdkafka answers with an error of its own at its timeout; this waits a little longer for that.
const GRACE_MS: i32 = 500;

/// # Safety
/// `event` is null or an event of librdkafka's that lives.
unsafe fn answer_of(event: *mut rd::rd_kafka_event_t) -> Result<HashMap<String, TopicNow>, KafkaError> {
    let failed = |code: RDKafkaRespErr| KafkaError::MetadataFetch(code.into());
    if event.is_null() {
        return Err(failed(RDKafkaRespErr::RD_KAFKA_RESP_ERR__TIMED_OUT));
    }
    // SAFETY: as the caller promised; what is read here belongs to the event.
    unsafe {
        let code = rd::rd_kafka_event_error(event);
        if code != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(failed(code));
        }
        let result = rd::rd_kafka_event_DescribeTopics_result(event);
        if result.is_null() {
            return Err(failed(RDKafkaRespErr::RD_KAFKA_RESP_ERR__INVALID_TYPE));
        }
        let mut count = 0;
        let topics = rd::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        Ok((0..count).map(|at| topic_of(*topics.add(at))).collect())
    }
}

/// # Safety
/// `topic` is a description within an event that lives.
unsafe fn topic_of(topic: *const rd::rd_kafka_TopicDescription_t) -> (String, TopicNow) {
    // SAFETY: as the caller promised.
    unsafe {
        let name = text(rd::rd_kafka_TopicDescription_name(topic));
        let error = rd::rd_kafka_TopicDescription_error(topic);
        if !error.is_null() {
            let code = RDKafkaErrorCode::from(rd::rd_kafka_error_code(error));
            match code {
                RDKafkaErrorCode::NoError => {}
                RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic => {
                    return (name, TopicNow::Absent);
                }
                code => return (name, TopicNow::Refused(code.to_string())),
            }
        }
        let mut count = 0;
        let partitions = rd::rd_kafka_TopicDescription_partitions(topic, &raw mut count);
        let leaders = (0..count).map(|at| {
            let partition = *partitions.add(at);
            let leader = rd::rd_kafka_TopicPartitionInfo_leader(partition);
            let leader = (!leader.is_null()).then(|| rd::rd_kafka_Node_id(leader));
            (rd::rd_kafka_TopicPartitionInfo_partition(partition), leader)
        });
        let id = rd::rd_kafka_TopicDescription_topic_id(topic);
        let id = (!id.is_null() && !is_zero(id)).then(|| Arc::from(text(rd::rd_kafka_Uuid_base64str(id))));
        (name, TopicNow::There { id, leaders: leaders.collect() })
    }
}

/// # Safety
/// `id` points to an id that lives.
unsafe fn is_zero(id: *const rd::rd_kafka_Uuid_t) -> bool {
    // SAFETY: as the caller promised.
    unsafe { rd::rd_kafka_Uuid_most_significant_bits(id) == 0 && rd::rd_kafka_Uuid_least_significant_bits(id) == 0 }
}

/// # Safety
/// `text` is null or a C string that lives.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as the caller promised.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
