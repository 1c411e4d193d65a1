//! What people do from a terminal, on the real binary.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use crate::harness::{Mode, Receiver, TestApp, eventually, eventually_holds, process::BINARY};

/// A terminal beside a running Postrider.
struct Terminal {
    url: String,
}

impl Terminal {
    fn new(app: &TestApp) -> Self {
        Terminal { url: app.rest().base().to_owned() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(arguments).env("POSTRIDER_API_URL", &self.url).env("POSTRIDER_API_KEY", "the-key-of-the-stories");
        command
    }

    /// Exit code, standard output and standard error.
    fn run(&self, arguments: &[&str], stdin: &str) -> (Option<i32>, String, String) {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        child.stdin.take().expect("piped").write_all(stdin.as_bytes()).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    #[track_caller]
    fn says(&self, arguments: &[&str]) -> String {
        let (code, stdout, stderr) = self.run(arguments, "");
        assert_eq!(code, Some(0), "{arguments:?}: {stderr}");
        stdout
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        let said = self.says(&[arguments, &["--json"]].concat());
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{arguments:?}: no JSON ({error}): {said}"))
    }
}

#[test]
fn a_customer_is_set_up_tried_and_looked_after_from_a_terminal() {
    let app = TestApp::start("terminal");
    let (terminal, receiver) = (Terminal::new(&app), Receiver::start());
    let hook = receiver.hook("hook");
    terminal.says(&["customers", "create", "Acme", "--uid", "acme", "--topics", "*", "--tenants", "*"]);
    let retry = r#"{"retry": {"attempts_max": 1}}"#;
    let create =
        ["endpoints", "create", "--customer", "acme", "--uid", "erp", "--url", hook.url(), "--settings", retry];
    let made = terminal.json(&create);
    hook.verify_with(&[made["secret"].as_str().expect("the secret")]);
    terminal.says(&["subscriptions", "create", "--endpoint", "erp", "--topic", &app.topic, "--tenant", "1,2"]);
    app.await_settings();
    assert!(terminal.says(&["endpoints", "list", "-q", "er"]).contains(hook.url()));
    assert!(terminal.says(&["endpoints", "test", "erp"]).contains("delivered"));
    assert!(terminal.says(&["match", &app.topic, "--tenant", "1"]).contains("subscribed"));
    let (_, _, said) = terminal.run(&["endpoints", "attempts", "erp"], "");
    assert!(said.contains("only a sample is"), "nothing is not said of an endpoint that takes everything: {said}");
    let (code, said, _) = terminal.run(&["match", &app.topic, "--tenant", "3", "--endpoint", "erp"], "");
    assert_eq!(code, Some(1));
    assert!(said.contains("tenant_not_listed"), "{said}");

    hook.set(Mode::Status(500));
    app.produce(10);
    let letters = eventually("both events are given up", || {
        let letters = terminal.json(&["dead-letters", "list", "erp"]);
        letters.as_array().filter(|letters| letters.len() == 2).cloned()
    });
    assert_eq!(letters[0]["reason"], "exhausted");
    eventually_holds("attempts are written a moment after they are over", || {
        terminal.says(&["endpoints", "attempts", "erp"]).contains("dead_letter")
    });
    hook.set(Mode::Ok);
    let acknowledged = ["dead-letters", "ack", "erp", "--id", letters[0]["id"].as_str().expect("id")];
    assert_eq!(terminal.says(&acknowledged), "1 acknowledged\n");
    let redriven = terminal.says(&["dead-letters", "redrive", "erp", "--all"]);
    assert_eq!(redriven, "1 redriven: 1 delivered, 0 given up again, 0 cancelled\n");
    assert_eq!(hook.accepted_count(), 1, "the command returned when it was delivered");

    assert!(terminal.says(&["endpoints", "pause", "erp"]).contains("paused"));
    assert!(terminal.says(&["endpoints", "list", "--state", "paused"]).contains("erp"));
    terminal.says(&["endpoints", "resume", "erp"]);
    assert!(terminal.json(&["endpoints", "rotate", "erp"])["secret"].is_string());
    let key = terminal.json(&["keys", "create", "for Acme", "--role", "customer", "--customer", "acme"]);
    assert!(key["token"].is_string(), "{key}");
    assert!(terminal.says(&["actors", "list"]).contains("KIND"));
    let (code, _, said) = terminal.run(&["endpoints", "get", "nobody"], "");
    assert_eq!(code, Some(1));
    assert_eq!(said, "postrider: Not Found (not_found): there is no such endpoint\n");
    let (code, _, said) = terminal.run(&["dead-letters", "ack", "erp"], "");
    assert_eq!(code, Some(64), "{said}");
}

#[test]
fn a_file_is_applied_whole_and_once_more_changes_nothing() {
    let app = TestApp::start("terminal-apply");
    let terminal = Terminal::new(&app);
    let endpoint = |n: usize| json!({"customer_id": "acme", "uid": format!("e{n}"), "url": "https://a.example/"});
    let subscription = |n: usize| json!({"uid": format!("s{n}"), "endpoint_id": format!("e{n}"), "topic": "orders", "scope": {"level": "topic"}});
    let file = json!({
        "customers": [{"uid": "acme", "name": "Acme", "grants": {"topics": ["*"], "tenants": ["*"]}}],
        "endpoints": (0..50).map(endpoint).collect::<Vec<_>>(),
        "subscriptions": (0..50).map(subscription).collect::<Vec<_>>(),
    });
    let apply = |file: &Value| terminal.run(&["apply", "-f", "-"], &file.to_string());
    let (code, said, _) = apply(&file);
    assert_eq!(code, Some(0));
    assert!(said.contains("customers: 1 created, 0 updated, 0 unchanged"), "{said}");
    assert!(said.contains("subscriptions: 50 created, 0 updated, 0 unchanged"), "{said}");
    assert_eq!(said.matches("whsec_").count(), 50, "{said}");
    let (_, said, _) = apply(&file);
    assert!(said.contains("endpoints: 0 created, 0 updated, 50 unchanged") && !said.contains("whsec_"), "{said}");

    let mut wrong = file;
    wrong["subscriptions"][7]["topic"] = "no topic".into();
    let (code, _, said) = apply(&wrong);
    assert_eq!(code, Some(1));
    assert!(said.contains("nothing was written") && said.contains("subscriptions[7].topic must be"), "{said}");
    assert_eq!(terminal.json(&["subscriptions", "list", "--endpoint", "e7"]).as_array().map(Vec::len), Some(1));
    assert_eq!(terminal.json(&["endpoints", "list", "--all"]).as_array().map(Vec::len), Some(50));
}

#[test]
fn of_a_wrong_file_nothing_is_written_and_of_one_that_fails_later_what_was_written_is_shown() {
    let app = TestApp::start("terminal-wrong");
    let terminal = Terminal::new(&app);
    terminal.says(&["customers", "create", "Globex", "--uid", "globex", "--topics", "bills", "--tenants", "*"]);
    let subscription = |uid: &str, endpoint: &str| json!({"uid": uid, "endpoint_id": endpoint, "topic": "orders", "scope": {"level": "topic"}});
    let mut file = json!({
        "customers": [{"uid": "acme", "name": "Acme", "grants": {"topics": ["*"], "tenants": ["*"]},
                       "quotas": {"subscriptions_max": 1}}],
        "endpoints": [{"customer_id": "acme", "uid": "a", "url": "https://a.example/"},
                      {"customer_id": "globex", "uid": "g", "url": "https://g.example/"}],
        "subscriptions": [subscription("s", "a"), subscription("t", "g"), subscription("u", "nobody")],
    });
    let apply = |file: &Value| terminal.run(&["apply", "-f", "-"], &file.to_string());
    // The grants of one customer stand in the file, those of the other in the API.
    let (code, stdout, said) = apply(&file);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(said.contains("nothing was written:\n  subscriptions[1] topic `orders`"), "{said}");
    assert!(said.contains("subscriptions[2].endpoint_id there is no endpoint `nobody`"), "{said}");
    assert_eq!(terminal.json(&["endpoints", "list"]), json!([]));
    assert_eq!(terminal.json(&["customers", "list"]).as_array().map(Vec::len), Some(1));

    // A quota is for the API to say, when the rest is written: the secrets are shown, this once.
    file["subscriptions"] = json!([subscription("s", "a"), subscription("t", "a")]);
    let (code, stdout, said) = apply(&file);
    assert_eq!(code, Some(1));
    assert!(said.contains("quota_exceeded"), "{said}");
    assert!(stdout.contains("endpoints: 2 created") && stdout.matches("whsec_").count() == 2, "{stdout}");
    file["subscriptions"] = json!([subscription("s", "a")]);
    let (code, stdout, _) = apply(&file);
    assert_eq!(code, Some(0));
    assert!(stdout.contains("endpoints: 0 created, 0 updated, 2 unchanged"), "{stdout}");
    assert!(stdout.contains("subscriptions: 1 created"), "{stdout}");
}

#[test]
fn a_subscription_is_tried_without_writing_a_receiver_and_nothing_of_it_stays() {
    let app = TestApp::start("terminal-listen");
    let terminal = Terminal::new(&app);
    let mut listening = terminal.command(&["listen", "--subscribe", &app.topic]);
    let mut child = listening.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut line = || lines.next().expect("a line").expect("text");
    assert!(line().contains("listening at"));
    app.await_settings();
    app.produce(1);
    assert!(line().contains("good signature"));
    terminate(&child);
    assert!(child.wait().expect("it ends").success());
    for kind in ["customers", "endpoints", "subscriptions"] {
        assert_eq!(terminal.json(&[kind, "list"]), json!([]), "{kind}");
    }
}

fn terminate(child: &Child) {
    let killed = Command::new("kill").arg(child.id().to_string()).status().expect("kill runs");
    assert!(killed.success());
}
