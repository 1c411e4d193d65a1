//! ● `postrider check`: the configuration that is in effect and, with `--connect`, whether what it names is there.

use std::{collections::HashMap, process::ExitCode, time::Duration};

use clap::Args;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use secrecy::ExposeSecret as _;

use crate::{
    app::pipeline::consumer_client,
    config::Config,
    ingest::{
        chosen::{Absent, Chosen, TopicMatcher},
        topic_ids::{self, TopicNow},
    },
    store::{self, Pool},
};

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// Also connect: to the brokers (the group; topics that are not there yet are warnings) and to PostgreSQL (its schema)
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
    let found = [("kafka", kafka(config)), ("postgres", postgres(config).map(Found::from))];
    for (what, found) in &found {
        match found {
            Ok(Found { text, absent }) => {
                eprintln!("postrider: {what}: {text}");
                absent.iter().for_each(|absent| eprintln!("postrider: warning: {absent}"));
            }
            Err(problem) => eprintln!("postrider: {what}: FAILED: {problem}"),
        }
    }
    if found.iter().all(|(_, found)| found.is_ok()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// An answer in words, and the topics that are not there yet: `serve` waits for them.
struct Found {
    text: String,
    absent: Option<Absent>,
}

impl From<String> for Found {
    fn from(text: String) -> Self {
        Found { text, absent: None }
    }
}

/// The brokers answer, and the group's positions may be read.
fn kafka(config: &Config) -> Result<Found, String> {
    let consumer: BaseConsumer = consumer_client(config).create().map_err(|error| error.to_string())?;
    let brokers = &config.kafka.brokers;
    let metadata = consumer.fetch_metadata(None, TIMEOUT).map_err(|error| format!("{brokers}: {error}"))?;
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
    let (topics, absent) = match config.kafka.topics_pattern.as_str() {
        "" => {
            let names: Vec<&str> = config.kafka.topics.iter().map(String::as_str).collect();
            let known = topic_ids::ask(consumer.client(), &names, TIMEOUT);
            said_of_names(&config.kafka.topics, &known.map_err(|error| format!("{brokers}: {error}"))?)?
        }
        pattern => {
            let topics = metadata.topics().iter().filter(|topic| !topic.partitions().is_empty());
            said_of_pattern(pattern, &topics.map(|topic| topic.name()).collect::<Vec<_>>())
        }
    };
    let text = format!("{} brokers answer, {topics}, group `{group}` may be read", metadata.brokers().len());
    Ok(Found { text, absent })
}

/// The number of listed topics that are there, and those that are not there yet. One that may not be read is a failure.
fn said_of_names(names: &[String], known: &HashMap<String, TopicNow>) -> Result<(String, Option<Absent>), String> {
    let Chosen { absent, refused } = Chosen::of_names(names, known);
    if !refused.is_empty() {
        let refused: Vec<String> = refused.iter().map(|(name, words)| format!("`{name}` ({words})")).collect();
        return Err(format!("the brokers refuse to let this client read {}", refused.join(", ")));
    }
    let missing = match &absent {
        Some(Absent::Names { names, .. }) => names.len(),
        Some(Absent::Pattern(_)) | None => 0,
    };
    Ok((format!("{} of {} topics are there", names.len() - missing, names.len()), absent))
}

/// The number of topics that a pattern matches, and their names.
fn said_of_pattern(pattern: &str, known: &[&str]) -> (String, Option<Absent>) {
    let Some(wanted) = TopicMatcher::new(pattern, "") else {
        return (format!("what kafka.topics_pattern `{pattern}` matches only Kafka's client can say"), None);
    };
    let mut matching: Vec<&str> = known.iter().copied().filter(|topic| wanted.is_match(topic)).collect();
    matching.sort_unstable();
    let more = if matching.len() > NAMED_MAX { ", …" } else { "" };
    let text = match matching.len() {
        0 => format!("0 topics match kafka.topics_pattern `{pattern}`"),
        1 => format!("1 topic matches kafka.topics_pattern `{pattern}` ({})", matching[0]),
        count => {
            let named = matching[..count.min(NAMED_MAX)].join(", ");
            format!("{count} topics match kafka.topics_pattern `{pattern}` ({named}{more})")
        }
    };
    (text, matching.is_empty().then(|| Absent::Pattern(pattern.to_owned())))
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
        let says = |pattern| said_of_pattern(pattern, &known).0;
        assert_eq!(
            says(r"orders\.(eu|us)"),
            r"2 topics match kafka.topics_pattern `orders\.(eu|us)` (orders.eu, orders.us)"
        );
        assert!(says(".*").starts_with("4 topics match"), "{}", says(".*"));
        assert!(says("order").starts_with("0 topics"), "{}", says("order"));
        assert!(says("[[:alpha:]]+").ends_with("(payments)"), "{}", says("[[:alpha:]]+"));
    }

    #[test]
    fn a_topic_that_is_not_there_yet_is_named_and_no_failure() {
        let names = ["orders", "payments"].map(str::to_owned);
        let there = || TopicNow::There { id: None, leaders: HashMap::from([(0, Some(1))]) };
        let known = |orders: TopicNow| HashMap::from([("orders".to_owned(), orders), ("payments".to_owned(), there())]);
        assert_eq!(said_of_names(&names, &known(there())), Ok(("2 of 2 topics are there".to_owned(), None)));
        let (text, absent) = said_of_names(&names, &known(TopicNow::Absent)).expect("it may come");
        assert_eq!(text, "1 of 2 topics are there");
        assert_eq!(absent, Some(Absent::Names { names: vec!["orders".to_owned()], all: false }));
        let (_, absent) = said_of_pattern("order", &["orders"]);
        assert!(absent.is_some_and(|absent| absent.to_string().contains("no topic matches")));
    }

    #[test]
    fn a_topic_that_may_not_be_read_is_a_failure_that_names_it() {
        let names = ["orders", "payments"].map(str::to_owned);
        let known = HashMap::from([
            ("orders".to_owned(), TopicNow::Refused("Broker: Topic authorization failed".to_owned())),
            ("payments".to_owned(), TopicNow::Absent),
        ]);
        let problem = said_of_names(&names, &known).expect_err("it would never be read");
        assert!(problem.contains("`orders` (Broker: Topic authorization failed)"), "{problem}");
    }
}
