//! ● `postrider check`: the configuration that is in effect and, with `--connect`, whether what it names is there.

use std::{process::ExitCode, time::Duration};

use clap::Args;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use secrecy::ExposeSecret as _;

use crate::{
    app::pipeline::consumer_client,
    config::Config,
    ingest::chosen::TopicMatcher,
    store::{self, Pool},
};

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// Also connect: to the brokers (topics, the group) and to PostgreSQL (its schema)
    #[arg(long)]
    connect: bool,
}

pub(super) fn run(arguments: &CheckArguments, config: &Config) -> ExitCode {
    print!("{}", config.to_toml());
    config.warnings().iter().for_each(|warning| eprintln!("postrider: warning: {warning}"));
    // Secrets often come only where it runs, so their absence here is no failure.
    if let Err(missing) = config.ready_to_serve() {
        for error in missing.0 {
            eprintln!("postrider: note: {error}");
        }
    }
    if !arguments.connect {
        eprintln!("postrider: the settings are right; nothing was connected to (--connect does)");
        return ExitCode::SUCCESS;
    }
    let found = [("kafka", kafka(config)), ("postgres", postgres(config))];
    for (what, found) in &found {
        match found {
            Ok(text) => eprintln!("postrider: {what}: {text}"),
            Err(problem) => eprintln!("postrider: {what}: FAILED: {problem}"),
        }
    }
    if found.iter().all(|(_, found)| found.is_ok()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The brokers answer, the topics exist, and the group's positions may be read.
fn kafka(config: &Config) -> Result<String, String> {
    let consumer: BaseConsumer = consumer_client(config).create().map_err(|error| error.to_string())?;
    let brokers = &config.kafka.brokers;
    let metadata = consumer.fetch_metadata(None, TIMEOUT).map_err(|error| format!("{brokers}: {error}"))?;
    let known: Vec<&str> =
        metadata.topics().iter().filter(|topic| !topic.partitions().is_empty()).map(|topic| topic.name()).collect();
    let missing: Vec<&str> =
        config.kafka.topics.iter().map(String::as_str).filter(|topic| !known.contains(topic)).collect();
    if !missing.is_empty() {
        return Err(format!("there is no topic {}, or it may not be read", missing.join(", ")));
    }
    let group = &config.kafka.group_id;
    let mut positions = rdkafka::TopicPartitionList::new();
    for topic in &config.kafka.topics {
        positions.add_partition(topic, 0);
    }
    if positions.count() > 0 {
        consumer
            .committed_offsets(positions, TIMEOUT)
            .map_err(|error| format!("the positions of group `{group}` cannot be read: {error}"))?;
    }
    let topics = match config.kafka.topics_pattern.as_str() {
        "" => format!("all of {} topics are there", config.kafka.topics.len()),
        pattern => said_of_pattern(pattern, &known),
    };
    Ok(format!("{} brokers answer, {topics}, group `{group}` may be read", metadata.brokers().len()))
}

/// The number of topics that a pattern matches, and their names.
fn said_of_pattern(pattern: &str, known: &[&str]) -> String {
    let Some(wanted) = TopicMatcher::new(pattern, "") else {
        return format!("what kafka.topics_pattern `{pattern}` matches only Kafka's client can say");
    };
    let mut matching: Vec<&str> = known.iter().copied().filter(|topic| wanted.is_match(topic)).collect();
    matching.sort_unstable();
    let more = if matching.len() > NAMED_MAX { ", …" } else { "" };
    match matching.len() {
        0 => format!("NO topic matches kafka.topics_pattern `{pattern}` yet"),
        1 => format!("1 topic matches kafka.topics_pattern `{pattern}` ({})", matching[0]),
        count => {
            let named = matching[..count.min(NAMED_MAX)].join(", ");
            format!("{count} topics match kafka.topics_pattern `{pattern}` ({named}{more})")
        }
    }
}

const NAMED_MAX: usize = 10;

/// It answers, and what it has of the schema is said.
fn postgres(config: &Config) -> Result<String, String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        if config.postgres.url.expose_secret().is_empty() {
            return Err("postgres.url is empty".to_owned());
        }
        let pool = Pool::open(&(&config.postgres).into()).map_err(|error| error.to_string())?;
        match store::migrations::newest(&pool).await {
            Ok(Some(version)) => Ok(format!("answers; its schema is at version {version}")),
            Ok(None) => {
                Ok("answers; it has no schema yet (`postrider migrate`, or the first `serve`, makes it)".to_owned())
            }
            Err(error) => Err(error.to_string()),
        }
    })
}

const TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_how_many_topics_a_pattern_matches_kafkas_own_left_out() {
        let known = ["orders.eu", "orders.us", "xorders.eu", "__consumer_offsets", "payments"];
        let says = |pattern| said_of_pattern(pattern, &known);
        assert_eq!(
            says(r"orders\.(eu|us)"),
            r"2 topics match kafka.topics_pattern `orders\.(eu|us)` (orders.eu, orders.us)"
        );
        assert!(says(".*").starts_with("4 topics match"), "{}", says(".*"));
        assert!(says("order").starts_with("NO topic"), "{}", says("order"));
        assert!(says("[[:alpha:]]+").ends_with("(payments)"), "{}", says("[[:alpha:]]+"));
    }
}
