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
fn check_says_that_it_connected_to_nothing_and_with_connect_what_does_not_answer() {
    let environment = [
        ("POSTRIDER_KAFKA_BROKERS", "127.0.0.1:1"),
        ("POSTRIDER_KAFKA_TOPICS", "orders"),
        ("POSTRIDER_POSTGRES_URL", "postgres://nobody:hush@127.0.0.1:1/none"),
        ("POSTRIDER_POSTGRES_CONNECT_TIMEOUT_MS", "500"),
    ];
    let (code, _, stderr) = run(&["check"], &environment);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("nothing was connected to"), "{stderr}");
    let (code, _, stderr) = run(&["check", "--connect"], &environment);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("kafka: FAILED: 127.0.0.1:1") && stderr.contains("postgres: FAILED"), "{stderr}");
    assert!(!stderr.contains("hush"), "{stderr}");
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

#[test]
fn whoever_does_not_say_where_the_api_is_or_with_which_key_is_told_how() {
    let nowhere = [("XDG_CONFIG_HOME", "no-such-folder")];
    let (code, stdout, stderr) = run(&["endpoints", "list"], &nowhere);
    assert_eq!((code, stdout.as_str()), (Some(64), ""), "{stderr}");
    assert!(stderr.contains("POSTRIDER_API_KEY"), "{stderr}");
    let (code, _, stderr) = run(&["endpoints", "list", "--api-url", "ftp://x", "--api-key", "k"], &nowhere);
    assert_eq!(code, Some(64), "{stderr}");
    // Nothing listens on port 1.
    let (code, _, stderr) = run(&["endpoints", "list", "--api-url", "http://127.0.0.1:1", "--api-key", "k"], &nowhere);
    assert_eq!(code, Some(69), "{stderr}");
    assert!(stderr.contains("http://127.0.0.1:1"), "{stderr}");
}

#[test]
fn a_refusal_is_shown_as_the_problem_it_is() {
    let problem = r#"{"status":422,"title":"Unprocessable Entity","code":"validation_failed","detail":"1 field(s)","errors":[{"field":"url","message":"is \u001b[2Jmissing"}]}"#;
    let (code, stdout, stderr) = asked(&["endpoints", "create", "--url", "x"], 422, problem);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    let expected = "postrider: Unprocessable Entity (validation_failed): 1 field(s)\n  url is \u{fffd}[2Jmissing\n";
    assert_eq!(stderr, expected);
    let (code, _, stderr) = asked(&["endpoints", "list"], 200, "<html>");
    assert_eq!(code, Some(69), "{stderr}");
}

#[test]
fn a_list_is_a_table_for_people_and_json_for_programs() {
    let page = r#"{"data":[{"id":"cus_1","uid":null,"name":"Acme","grants":{"topics":["*"],"tenants":["2","7"]}}],"next_cursor":null}"#;
    let (code, stdout, stderr) = asked(&["customers", "list"], 200, page);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(stdout, "ID     UID  NAME  TOPICS  TENANTS\ncus_1  -    Acme  *       2, 7\n");
    let (_, stdout, _) = asked(&["customers", "list", "--json"], 200, page);
    let rows: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(rows[0]["name"], "Acme");
}

#[test]
fn where_the_api_is_may_stand_in_a_file_that_keeps_its_key_to_itself() {
    let folder = std::env::temp_dir().join(format!("postrider-client-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("client.toml");
    std::fs::write(&file, "url = \"http://127.0.0.1:1\"\nkey = \"hush-hush\"\n").expect("written");
    let environment = [("POSTRIDER_API_CONFIG", file.to_str().expect("text"))];
    let (code, _, stderr) = run(&["actors", "list"], &environment);
    assert_eq!(code, Some(69), "{stderr}");
    std::fs::write(&file, "kye = \"hush-hush\"\n").expect("written");
    let (code, _, stderr) = run(&["actors", "list"], &environment);
    assert_eq!(code, Some(64), "{stderr}");
    assert!(!stderr.contains("hush"), "{stderr}");
    std::fs::remove_dir_all(&folder).expect("removed");
}

#[test]
fn shells_learn_all_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, stdout, stderr) = run(&["completion", shell], &[]);
        assert_eq!(code, Some(0), "{stderr}");
        assert!(stdout.contains("dead-letters") && stdout.contains("redrive") && stdout.contains("listen"), "{shell}");
    }
}

/// Runs a command against an API that says this to whatever it is asked.
fn asked(arguments: &[&str], status: u16, body: &str) -> (Option<i32>, String, String) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let length = body.len();
    let answer = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a caller");
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read > 0) {
            head.push(byte[0]);
        }
        stream.write_all(answer.as_bytes()).expect("it reads");
        String::from_utf8_lossy(&head).into_owned()
    });
    let done = run(arguments, &[("POSTRIDER_API_URL", &url), ("POSTRIDER_API_KEY", "the-key")]);
    let head = server.join().expect("answered");
    assert!(head.to_ascii_lowercase().contains("authorization: bearer the-key"), "{head}");
    done
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
