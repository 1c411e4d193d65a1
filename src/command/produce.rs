//! ● `postrider produce`: sends events to a topic, to try things out without another program.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::Duration,
};

use clap::Args;
use parking_lot::Mutex;
use rdkafka::{
    ClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer},
};

use super::topics::{self, KAFKA_TIMEOUT, PARTITIONS, SteadyRate};
use crate::{clock, config::Config};

#[derive(Debug, Args)]
pub(super) struct ProduceArguments {
    /// Topic to send to
    #[arg(long, value_name = "NAME")]
    topic: String,
    /// One event: the record's value, JSON or whatever your topic holds
    #[arg(conflicts_with = "file")]
    event: Option<String>,
    /// A file of events, one a line; "-" reads standard input
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The record's key
    #[arg(long)]
    key: Option<String>,
    /// A header of each record, such as tenant=2; several may be given
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_header)]
    header: Vec<(String, String)>,
    /// Events a second, instead of as fast as Kafka takes them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,
    /// Send the event so many times
    #[arg(long, value_name = "N", default_value_t = 1, requires = "event", value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// Make the topic where it is missing; without events nothing else is done
    #[arg(long)]
    create_topic: bool,
    /// Partitions of a topic that is made
    #[arg(long, value_name = "N", default_value_t = PARTITIONS, requires = "create_topic", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: i32,
}

pub(super) fn run(arguments: &ProduceArguments, config: &Config) -> ExitCode {
    match produce(arguments, config) {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(problem) => super::failure(&problem),
    }
}

fn produce(arguments: &ProduceArguments, config: &Config) -> Result<String, String> {
    let topic = arguments.topic.as_str();
    let made = arguments.create_topic && create(topic, arguments.partitions, config)?;
    let Some(mut events) = Events::open(arguments)? else {
        return match (arguments.create_topic, made) {
            (true, true) => Ok(format!("{topic}: made, with {} partitions", arguments.partitions)),
            (true, false) => Ok(format!("{topic}: is there already")),
            (false, _) => Err("nothing to send: give an event, or a file of them with --file".to_owned()),
        };
    };
    let producer: ThreadedProducer<Answers> = topics::client(&config.kafka)
        .set("linger.ms", "5")
        .set("enable.idempotence", "true")
        .set("message.timeout.ms", MESSAGE_TIMEOUT_MS)
        .create_with_context(Answers::default())
        .map_err(|error| format!("Kafka's client refused its configuration: {error}"))?;
    if !made {
        is_there(&producer, topic, &config.kafka.brokers)?;
    }
    let mut sending = Sending { producer, arguments, sent: 0 };
    // What was sent before something went wrong is in Kafka, and is said.
    let ended = sending.send_all(&mut events);
    sending.finish(ended)
}

fn create(topic: &str, partitions: i32, config: &Config) -> Result<bool, String> {
    let made = actix::System::new().block_on(topics::create(&config.kafka, &[topic], partitions))?;
    Ok(!made.is_empty())
}

/// A misspelt name is a mistake, whatever the brokers would make of it.
fn is_there(producer: &ThreadedProducer<Answers>, topic: &str, brokers: &str) -> Result<(), String> {
    // All topics: one that is asked for by name may be made for the asking.
    let known = producer
        .client()
        .fetch_metadata(None, KAFKA_TIMEOUT)
        .map_err(|error| format!("Kafka at {brokers} does not answer: {error}"))?;
    if known.topics().iter().any(|known| known.name() == topic) {
        return Ok(());
    }
    Err(format!("there is no topic {topic}, or it may not be seen with these credentials; --create-topic makes it"))
}

/// The values to be sent, one after the other.
enum Events {
    Same { event: Vec<u8>, left: u64 },
    Lines(Box<dyn BufRead>),
}

impl Events {
    /// `None`: there is nothing to send.
    fn open(arguments: &ProduceArguments) -> Result<Option<Self>, String> {
        if let Some(event) = &arguments.event {
            return Ok(Some(Events::Same { event: event.clone().into_bytes(), left: arguments.count }));
        }
        let Some(path) = &arguments.file else { return Ok(None) };
        if path == Path::new("-") {
            return Ok(Some(Events::Lines(Box::new(BufReader::new(io::stdin())))));
        }
        let file = File::open(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        Ok(Some(Events::Lines(Box::new(BufReader::new(file)))))
    }

    /// The next one, without its line's end; empty lines are passed over.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self {
            Events::Same { left: 0, .. } => Ok(None),
            Events::Same { event, left } => {
                *left -= 1;
                Ok(Some(event.clone()))
            }
            Events::Lines(lines) => loop {
                let mut line = Vec::new();
                if lines.read_until(b'\n', &mut line)? == 0 {
                    return Ok(None);
                }
                let end = line.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
                line.truncate(end);
                if !line.is_empty() {
                    return Ok(Some(line));
                }
            },
        }
    }
}

struct Sending<'a> {
    producer: ThreadedProducer<Answers>,
    arguments: &'a ProduceArguments,
    sent: u64,
}

impl Sending<'_> {
    fn send_all(&mut self, events: &mut Events) -> Result<(), String> {
        let mut pace = self.arguments.rate.map(|rate| SteadyRate::new(rate, clock::now()));
        // The first one at once.
        let mut due = 1;
        loop {
            while due == 0 {
                thread::sleep(TICK);
                due = pace.as_mut().map_or(1, |pace| pace.due(clock::now()));
            }
            let event = events.next().map_err(|error| format!("the events cannot be read: {error}"))?;
            let Some(event) = event else { return Ok(()) };
            self.send(&event)?;
            if pace.is_some() {
                due -= 1;
            }
        }
    }

    fn send(&mut self, event: &[u8]) -> Result<(), String> {
        let ProduceArguments { topic, key, header, .. } = self.arguments;
        let headers = header
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
        let mut record = BaseRecord::<[u8], [u8]>::to(topic).payload(event).headers(headers);
        if let Some(key) = key {
            record = record.key(key.as_bytes());
        }
        while let Err((error, returned)) = self.producer.send(record) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                return Err(error.to_string());
            }
            record = returned;
            thread::sleep(TICK);
        }
        self.sent += 1;
        Ok(())
    }

    /// Waits until Kafka has said of each whether it has it.
    fn finish(self, ended: Result<(), String>) -> Result<String, String> {
        let flushed = self.producer.flush(FLUSH_MAX).map_err(|error| error.to_string());
        let refused = self.producer.context().refused.lock().clone();
        let taken = self.sent.saturating_sub(refused.count + self.producer.in_flight_count() as u64);
        let events = if taken == 1 { "1 event".to_owned() } else { format!("{taken} events") };
        match ended.err().or(refused.first).or(flushed.err()) {
            None => Ok(format!("{}: {events} sent", self.arguments.topic)),
            Some(why) => Err(format!("{}: {events} sent, and not all: {why}", self.arguments.topic)),
        }
    }
}

/// Kafka's answers about single events.
#[derive(Default)]
struct Answers {
    refused: Mutex<Refused>,
}

#[derive(Debug, Clone, Default)]
struct Refused {
    count: u64,
    first: Option<String>,
}

impl ClientContext for Answers {}

impl ProducerContext for Answers {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            let mut refused = self.refused.lock();
            refused.count += 1;
            refused.first.get_or_insert_with(|| error.to_string());
        }
    }
}

fn parse_header(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("give a name and a value, as in tenant=2".to_owned()),
    }
}

/// The clock is looked at this often.
const TICK: Duration = Duration::from_millis(5);
/// Events that Kafka did not take by then are not sent.
const MESSAGE_TIMEOUT_MS: &str = "30000";
/// Longer than any event may take.
const FLUSH_MAX: Duration = Duration::from_secs(40);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_of_a_file_is_an_event_and_empty_ones_are_none() {
        let mut events = Events::Lines(Box::new(&b"{\"n\":1}\r\n\n  two \n\xff"[..]));
        let mut read = || events.next().expect("it can be read");
        assert_eq!(read().as_deref(), Some(&b"{\"n\":1}"[..]));
        assert_eq!(read().as_deref(), Some(&b"  two "[..]));
        assert_eq!(read().as_deref(), Some(&b"\xff"[..]));
        assert_eq!(read(), None);
    }

    #[test]
    fn one_event_is_sent_as_often_as_it_is_asked_for() {
        let mut events = Events::Same { event: b"x".to_vec(), left: 2 };
        let count = std::iter::from_fn(|| events.next().expect("it can be read")).count();
        assert_eq!(count, 2);
    }

    #[test]
    fn a_header_has_a_name_and_may_have_any_value() {
        assert_eq!(parse_header("tenant=2=3"), Ok(("tenant".to_owned(), "2=3".to_owned())));
        assert!(parse_header("tenant").is_err() && parse_header("=2").is_err());
    }
}
