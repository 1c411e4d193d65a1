//! ● Topics of Kafka and a steady rate, for the commands that produce: `produce` and `demo`.

use std::time::{Duration, Instant};

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    error::RDKafkaErrorCode,
};

use crate::config::KafkaSection;

/// Partitions of a topic, where nobody says how many.
pub(super) const PARTITIONS: i32 = 4;
pub(super) const KAFKA_TIMEOUT: Duration = Duration::from_secs(15);

/// A client as the configuration wants it, with its TLS and SASL.
pub(super) fn client(kafka: &KafkaSection) -> ClientConfig {
    let mut client = ClientConfig::new();
    for (name, value) in kafka.client_properties() {
        client.set(name, value);
    }
    client
}

/// Makes those of these topics that are missing, and says which it made.
pub(super) async fn create<'a>(
    kafka: &KafkaSection,
    topics: &[&'a str],
    partitions: i32,
) -> Result<Vec<&'a str>, String> {
    let admin: AdminClient<DefaultClientContext> = client(kafka).create().map_err(|error| error.to_string())?;
    let wanted: Vec<_> =
        topics.iter().map(|topic| NewTopic::new(topic, partitions, TopicReplication::Fixed(-1))).collect();
    let options = AdminOptions::new().operation_timeout(Some(KAFKA_TIMEOUT)).request_timeout(Some(KAFKA_TIMEOUT));
    let results = admin
        .create_topics(&wanted, &options)
        .await
        .map_err(|error| format!("Kafka at {} made no topic: {error}", kafka.brokers))?;
    let mut made = Vec::new();
    for (result, topic) in results.into_iter().zip(topics) {
        match result {
            Ok(_) => made.push(*topic),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, error)) => return Err(format!("topic {topic} could not be created: {error}")),
        }
    }
    Ok(made)
}

/// A steady rate, whatever the ticks do.
pub(super) struct SteadyRate {
    rate: u32,
    start: Instant,
    sent: u64,
}

impl SteadyRate {
    pub(super) fn new(rate: u32, start: Instant) -> Self {
        SteadyRate { rate, start, sent: 0 }
    }

    /// Number of events that are due now.
    pub(super) fn due(&mut self, now: Instant) -> u64 {
        let by_now = (now.saturating_duration_since(self.start).as_secs_f64() * f64::from(self.rate)) as u64;
        let due = by_now.saturating_sub(self.sent);
        self.sent += due;
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_tick_makes_up_for_what_it_missed() {
        let start = Instant::now();
        let mut pace = SteadyRate::new(200, start);
        assert_eq!(pace.due(start + Duration::from_millis(5)), 1);
        assert_eq!(pace.due(start + Duration::from_millis(7)), 0);
        assert_eq!(pace.due(start + Duration::from_secs(1)), 199);
    }
}
