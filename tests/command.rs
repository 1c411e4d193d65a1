//! What the command line promises to people and to orchestrators, tried on the real binary. No Kafka, no Postgres.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Output, Stdio},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::hmac;

fn postrider(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postrider"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("POSTRIDER_")) {
        command.env_remove(name);
    }
    command.args(arguments).envs(environment.iter().copied()).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = postrider(arguments, environment).output().expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("what it says is text");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn check_prints_what_is_in_effect_and_hides_secrets() {
    let environment = [("POSTRIDER_KAFKA_GROUP_ID", "blue"), ("POSTRIDER_ADMIN_KEY", "hunter2hunter2hunter2")];
    let (code, stdout, stderr) = run(&["check"], &environment);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("group_id = \"blue\"") && stdout.contains("key = \"(hidden)\""), "{stdout}");
    assert!(!(stdout + &stderr).contains("hunter2"));
}

#[test]
fn the_page_of_settings_is_what_the_defaults_say() {
    let (code, stdout, _) = run(&["settings"], &[]);
    assert_eq!(code, Some(0));
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/settings.md")).unwrap_or_default();
    assert!(page == stdout, "docs/settings.md is stale: cargo run -- settings >docs/settings.md");
}

#[test]
fn a_wrong_configuration_exits_64_and_names_every_mistake() {
    let environment = [("POSTRIDER_KAFKA_BROKER", "a:1"), ("POSTRIDER_DELIVERY_PARK_AFTER_MS", "soon")];
    for command in ["serve", "migrate", "check", "demo", "health"] {
        let (code, _, stderr) = run(&[command], &environment);
        assert_eq!(code, Some(64), "{command}: {stderr}");
        assert!(stderr.contains("did you mean POSTRIDER_KAFKA_BROKERS?"), "{command}: {stderr}");
        assert!(stderr.contains("delivery.park_after_ms = \"soon\""), "{command}: {stderr}");
    }
}

#[test]
fn serve_refuses_to_start_without_its_keys() {
    let (code, _, stderr) = run(&["serve"], &[("POSTRIDER_KAFKA_TOPICS", "orders")]);
    assert_eq!(code, Some(64));
    assert!(
        stderr.contains("admin.key") && stderr.contains("secrets.key") && !stderr.contains("kafka.topics"),
        "{stderr}"
    );
}

#[test]
fn a_configuration_file_that_is_not_there_is_a_mistake() {
    let (code, _, stderr) = run(&["check", "--config", "no-such-file.toml"], &[]);
    assert_eq!(code, Some(64));
    assert!(stderr.contains("no-such-file.toml: cannot be read"), "{stderr}");
}

#[test]
fn the_variables_of_a_commands_options_are_no_mistakes_for_the_others() {
    let environment = [
        ("POSTRIDER_DEMO_ADMIN_KEY", "x"),
        ("POSTRIDER_LISTEN_SECRET", "x"),
        ("POSTRIDER_CONFIG", "config/default.toml"),
    ];
    let (code, _, stderr) = run(&["check"], &environment);
    assert_eq!(code, Some(0), "{stderr}");
}

#[test]
fn health_fails_when_nobody_answers() {
    // Nothing listens on port 1.
    let (code, _, stderr) = run(&["health", "--url", "http://127.0.0.1:1/livez"], &[]);
    assert_eq!(code, Some(1), "{stderr}");
}

#[test]
fn a_receiver_takes_what_is_signed_and_refuses_what_is_not() {
    let mut receiver = Receiver::start(&["--secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]);
    let now_s = postrider::clock::wall_ms() / 1000;
    let body = "{\"test\": 2432232314}";
    assert_eq!(receiver.post(&signed("msg_1", now_s, body), body), 200);
    assert!(receiver.line().contains("good signature"));
    assert_eq!(receiver.post(&signed("msg_1", now_s, body), "{\"test\": 1}"), 401);
    assert!(receiver.line().contains("BAD SIGNATURE"));
    // However well signed, an old request may be somebody else's copy.
    assert_eq!(receiver.post(&signed("msg_1", now_s - 3600, body), body), 401);
    assert!(receiver.line().contains("BAD SIGNATURE"));
}

#[test]
fn a_receiver_fails_as_it_is_told() {
    let mut unverified = Receiver::start(&["--fail", "503", "--fail-every", "2"]);
    assert_eq!(unverified.post("", "[1,2]"), 200);
    assert_eq!(unverified.post("", "[1,2]"), 503);
    assert!(unverified.line().contains("2 events"));
}

/// The headers of the Standard Webhooks specification.
fn signed(id: &str, time_s: i64, body: &str) -> String {
    let secret = BASE64_STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("base64");
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
    let signature = BASE64_STANDARD.encode(hmac::sign(&key, format!("{id}.{time_s}.{body}").as_bytes()));
    format!("webhook-id: {id}\r\nwebhook-timestamp: {time_s}\r\nwebhook-signature: v1,{signature}\r\n")
}

/// A `postrider listen`, killed when it is dropped.
struct Receiver {
    child: Child,
    address: String,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Receiver {
    fn start(arguments: &[&str]) -> Self {
        let mut command = postrider(&["listen", "--port", "0"], &[]);
        let mut child =
            command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let first = lines.next().expect("it says where it listens").expect("as text");
        let address = first.split('/').nth(2).expect("an address in the line").to_owned();
        Receiver { child, address, lines }
    }

    /// The status of the answer.
    fn post(&self, headers: &str, body: &str) -> u16 {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        let length = body.len();
        write!(
            stream,
            "POST /hook HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
        )
        .expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("a line for the request").expect("as text")
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
