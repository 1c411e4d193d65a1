//! ● `postrider listen`: receives deliveries as a customer would, verifies them, and prints one line a request.

mod trial; // a subscription for the time

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use clap::Args;
use serde::Deserialize;

use super::{
    receiver::{self, Received, ReceiverReply, Verifier},
    remote::CommandFailure,
};
use crate::clock;

#[derive(Debug, Args)]
pub(super) struct ListenArguments {
    /// Port of this machine to listen on, 0 for any that is free
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Listen on every address of this machine instead of loopback only
    #[arg(long)]
    public: bool,
    /// The endpoint's secret (whsec_…); several during a rotation. Without one nothing is verified
    #[arg(long, env = "POSTRIDER_LISTEN_SECRET", hide_env_values = true, value_delimiter = ',')]
    secret: Vec<String>,
    /// Print every event of a batch on a line of its own
    #[arg(long)]
    batch: bool,
    /// Answer with this status, or never ("hang"), instead of 200
    #[arg(long, value_name = "STATUS|hang", value_parser = parse_failure)]
    fail: Option<ReceiverReply>,
    /// Fail only every so many requests
    #[arg(long, value_name = "N", default_value_t = 1, requires = "fail", value_parser = clap::value_parser!(u64).range(1..))]
    fail_every: u64,
    /// Wait this long before answering
    #[arg(long, value_name = "MS", default_value_t = 0)]
    delay_ms: u64,
    #[command(flatten)]
    trial: trial::TrialArguments,
}

pub(super) fn run(arguments: &ListenArguments) -> ExitCode {
    if let Err(error) = Verifier::new(arguments.secret.iter().map(String::as_str)) {
        return super::failure(&format!("--secret: {error}"));
    }
    let ip = if arguments.public { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
    let listener = match TcpListener::bind(SocketAddr::from((ip, arguments.port))) {
        Ok(listener) => listener,
        Err(error) => return super::failure(&format!("cannot listen on port {}: {error}", arguments.port)),
    };
    actix::System::new().block_on(async {
        let listened = if arguments.trial.is_wanted() {
            listen_for_a_trial(arguments, listener).await
        } else {
            listen(arguments, &arguments.secret, listener)
                .await
                .map_err(|error| CommandFailure::Failed(error.to_string()))
        };
        match listened {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                eprintln!("postrider: {failure}");
                ExitCode::from(failure.exit_code())
            }
        }
    })
}

/// With a subscription of its own, which ends with it.
async fn listen_for_a_trial(arguments: &ListenArguments, listener: TcpListener) -> Result<(), CommandFailure> {
    let port = listener.local_addr().map_err(|error| CommandFailure::Failed(error.to_string()))?.port();
    let trial = arguments.trial.start(port).await?;
    let secrets = [arguments.secret.as_slice(), std::slice::from_ref(&trial.secret)].concat();
    let listened = listen(arguments, &secrets, listener).await;
    trial.end().await;
    listened.map_err(|error| CommandFailure::Failed(error.to_string()))
}

async fn listen(arguments: &ListenArguments, secrets: &[String], listener: TcpListener) -> std::io::Result<()> {
    let verifier = Verifier::new(secrets.iter().map(String::as_str)).ok().filter(|_| !secrets.is_empty());
    let requests = AtomicU64::new(0);
    let (fail, fail_every, each) = (arguments.fail, arguments.fail_every, arguments.batch);
    let delay = Duration::from_millis(arguments.delay_ms);
    let look = move |received: Received| {
        let number = requests.fetch_add(1, Ordering::Relaxed) + 1;
        let verdict = verdict(verifier.as_ref(), &received);
        let reply = reply(verdict == Verdict::Bad, fail.filter(|_| number.is_multiple_of(fail_every)), delay);
        print(number, &received, verdict, reply, each);
        reply
    };
    let (address, server) = receiver::start(listener, look)?;
    println!("listening at http://{address}/ (any path); Ctrl-C stops");
    told_to_stop().await;
    server.stop(false).await;
    Ok(())
}

/// Ctrl-C or SIGTERM.
async fn told_to_stop() {
    let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
    match terminate {
        Ok(mut terminate) => tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        },
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Good,
    Bad,
    Unverified,
}

fn verdict(verifier: Option<&Verifier>, received: &Received) -> Verdict {
    let Some(verifier) = verifier else { return Verdict::Unverified };
    let now_s = clock::wall_ms() / 1000;
    match verifier.verify(&received.webhook_id, &received.webhook_timestamp, &received.signature, &received.body, now_s)
    {
        Ok(()) => Verdict::Good,
        Err(error) => {
            eprintln!("bad signature on {}: {error}", plain(&received.webhook_id, 80));
            Verdict::Bad
        }
    }
}

/// A careful customer refuses what is not signed.
fn reply(bad: bool, fail: Option<ReceiverReply>, delay: Duration) -> ReceiverReply {
    match fail.unwrap_or(ReceiverReply::Status(if bad { 401 } else { 200 })) {
        ReceiverReply::Status(status) if !delay.is_zero() => ReceiverReply::Slowly(delay, status),
        reply => reply,
    }
}

fn print(number: u64, received: &Received, verdict: Verdict, reply: ReceiverReply, each: bool) {
    let verdict = match verdict {
        Verdict::Good => "good signature",
        Verdict::Bad => "BAD SIGNATURE",
        Verdict::Unverified => "not verified",
    };
    let answer = match reply {
        ReceiverReply::Status(status) | ReceiverReply::Slowly(_, status) => status.to_string(),
        ReceiverReply::Hang => "no answer".to_owned(),
    };
    let events = receiver::events(&received.body);
    let count = if events.len() == 1 { "1 event".to_owned() } else { format!("{} events", events.len()) };
    let (path, id, bytes) = (plain(&received.path, 40), plain(&received.webhook_id, 60), received.body.len());
    let first = if each { String::new() } else { format!("  {}", describe(events[0])) };
    println!("{number:>6}  {path}  {verdict}  {count}, {bytes} bytes  → {answer}  {id}{first}");
    for event in events.iter().filter(|_| each) {
        println!("        {}", describe(event));
    }
}

/// The envelope's own words, or the beginning of whatever it is.
fn describe(event: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        id: String,
        r#type: String,
        tenant: Option<String>,
        department: Option<String>,
        #[serde(borrow)]
        data: Option<&'a serde_json::value::RawValue>,
    }
    match serde_json::from_slice::<Envelope>(event) {
        Ok(event) => {
            let part =
                |name: &str, value: Option<String>| value.map(|value| format!(" {name} {value}")).unwrap_or_default();
            let whose = part("tenant", event.tenant) + &part("department", event.department);
            let data = event.data.map_or("null", |data| data.get());
            plain(&format!("{} {}{whose} {data}", event.id, event.r#type), 160)
        }
        Err(_) => plain(&String::from_utf8_lossy(event), 120),
    }
}

/// Nothing that a terminal would obey, and not too much of it.
fn plain(text: &str, characters_max: usize) -> String {
    let mut short: String =
        text.chars().take(characters_max).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(characters_max).is_some() {
        short.push('…');
    }
    short
}

fn parse_failure(text: &str) -> Result<ReceiverReply, String> {
    match text {
        "hang" => Ok(ReceiverReply::Hang),
        _ => match text.parse::<u16>() {
            Ok(status @ 200..=599) => Ok(ReceiverReply::Status(status)),
            _ => Err("give a status from 200 to 599, or hang".to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_described_by_its_envelope() {
        let event =
            br#"{"id":"1","type":"order.created","timestamp":"t","tenant":"2","department":"100","data":{"n":1}}"#;
        assert_eq!(describe(event), r#"1 order.created tenant 2 department 100 {"n":1}"#);
        assert_eq!(describe(b"anything\x1b[2J"), "anything\u{fffd}[2J");
    }

    #[test]
    fn a_bad_signature_is_refused_unless_told_otherwise() {
        assert_eq!(reply(true, None, Duration::ZERO), ReceiverReply::Status(401));
        assert_eq!(reply(false, Some(ReceiverReply::Hang), Duration::from_secs(1)), ReceiverReply::Hang);
        assert_eq!(reply(false, None, Duration::from_secs(1)), ReceiverReply::Slowly(Duration::from_secs(1), 200));
    }
}
