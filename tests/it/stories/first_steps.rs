//! README's first subscription, from its first command to its last, exactly as they stand on the page.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use crate::harness::{eventually, eventually_holds, kafka, postgres::Postgres, process};

/// The blocks of shell below a heading of README.
fn blocks_below(heading: &str) -> Vec<String> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("README");
    let section = page.split(&format!("## {heading}\n")).nth(1).expect("its heading").split("\n## ").next();
    let blocks = section.expect("a section").split("```sh\n").skip(1);
    blocks.map(|block| block.split("```").next().expect("an end").to_owned()).collect()
}

/// A shell that is told one block after the other, and whose every command must go well.
struct Shell {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Shell {
    fn start(settings: &BTreeMap<String, String>, folder: &Path) -> Self {
        let programs = Path::new(process::BINARY).parent().expect("a folder");
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
        let mut child = Command::new("bash")
            .args(["-euc", "exec 2>&1; while IFS= read -r -d '' block; do eval \"$block\"; done"])
            .envs(settings)
            .env("PATH", path)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("bash");
        let said = Arc::new(Mutex::new(String::new()));
        let (lines, heard) = (BufReader::new(child.stdout.take().expect("piped")).lines(), Arc::clone(&said));
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut heard = heard.lock().unwrap();
                heard.push_str(&line);
                heard.push('\n');
            }
        });
        Shell { child, said }
    }

    fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Runs a block to its end.
    #[track_caller]
    fn run(&mut self, block: &str) {
        let input = self.child.stdin.as_mut().expect("piped");
        write!(input, "{block}\necho \"-- done: {}\"\0", block.len()).expect("it reads");
        let done = format!("-- done: {}\n", block.len());
        eventually("the block's commands went well", || {
            let ended = self.child.try_wait().expect("a child");
            assert!(ended.is_none(), "{block}\nended with {ended:?} and said:\n{}", self.said());
            self.said().contains(&done).then_some(())
        });
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // Of this shell only: what it started and did not stop.
        let _ = Command::new("pkill").args(["-P", &self.child.id().to_string()]).status();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_first_subscription_of_the_readme_works_from_its_first_command_to_its_last() {
    let postgres = Postgres::create(&format!("it_first_steps_{}", std::process::id()));
    // Not the page's own ports: another story may have something there.
    let (api, receiver) = (process::free_port(), process::free_port());
    // As `make services` and `dev/services env` leave them.
    let settings = BTreeMap::from([
        ("POSTRIDER_KAFKA_BROKERS".to_owned(), kafka::brokers()),
        ("POSTRIDER_POSTGRES_URL".to_owned(), postgres.url()),
        ("POSTRIDER_ADMIN_KEY".to_owned(), "the-key-of-the-stories".to_owned()),
        ("POSTRIDER_SECRETS_KEY".to_owned(), "c3Rvcmllcywgc3RvcmllcywgYW5kIHN0b3JpZXMuLi4=".to_owned()),
        ("POSTRIDER_KAFKA_GROUP_ID".to_owned(), format!("first-steps-{}", std::process::id())),
        ("POSTRIDER_ADMIN_BIND".to_owned(), format!("127.0.0.1:{api}")),
    ]);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("first-steps-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let mut shell = Shell::start(&settings, &folder);
    let mut blocks = blocks_below("A first subscription");
    assert!(blocks.len() > 4 && blocks[0].contains("make services"), "{blocks:#?}");
    let stop = blocks.pop().expect("the last one");
    for block in &blocks[1..] {
        shell.run(&block.replace("8080", &api.to_string()).replace("9000", &receiver.to_string()));
    }
    let line = eventually("the receiver prints the event", || {
        shell.said().lines().find(|line| line.contains("  /hook  ")).map(str::to_owned)
    });
    assert!(line.contains("good signature") && line.contains("tenant 2 department 100 {\"order\": 17}"), "{line}");
    assert!(shell.said().contains("\"ready\":true"), "{}", shell.said());
    shell.run(&format!("{stop}\nwait || true"));
    eventually_holds("nobody listens any more", || TcpListener::bind((Ipv4Addr::LOCALHOST, receiver)).is_ok());
    let _ = std::fs::remove_dir_all(&folder);
}

#[test]
fn events_are_sent_from_the_command_line_and_a_topic_that_is_not_there_is_a_mistake() {
    let settings = BTreeMap::from([("POSTRIDER_KAFKA_BROKERS".to_owned(), kafka::brokers())]);
    let topic = format!("produce-{}", std::process::id());
    let produce = |arguments: &[&str], lines: &str| {
        let mut command = process::command(&settings);
        let mut child = command
            .args(["produce", "--topic", &topic])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        child.stdin.take().expect("piped").write_all(lines.as_bytes()).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    let (code, said) = produce(&["{}"], "");
    assert_eq!(code, Some(1));
    assert!(said.contains(&format!("there is no topic {topic}")) && said.contains("--create-topic"), "{said}");
    let (code, said) = produce(&["--create-topic", "--partitions", "3"], "");
    assert_eq!((code, said), (Some(0), format!("{topic}: made, with 3 partitions\n")));
    let (code, said) = produce(&["--create-topic"], "");
    assert_eq!((code, said), (Some(0), format!("{topic}: is there already\n")));
    let (code, said) = produce(&["--file", "-", "--key", "k", "--header", "tenant=2", "--rate", "100"], "{}\n\n[1]\n");
    assert_eq!((code, said), (Some(0), format!("{topic}: 2 events sent\n")));
    let (code, said) = produce(&["x", "--count", "5"], "");
    assert_eq!((code, said), (Some(0), format!("{topic}: 5 events sent\n")));
    assert_eq!(kafka::records(&topic), 7);
    let large = "x".repeat(20 << 20);
    let (code, said) = produce(&["--file", "-"], &format!("{large}\n"));
    assert_eq!(code, Some(1));
    assert!(said.contains("0 events sent, and not all") && said.to_lowercase().contains("size too large"), "{said}");
}

#[test]
fn a_check_that_connects_names_a_topic_that_is_not_there_yet_and_succeeds() {
    let (there, absent) = (format!("check-{}", std::process::id()), format!("check-{}-absent", std::process::id()));
    let postgres = Postgres::create(&format!("it_check_{}", std::process::id()));
    let settings = BTreeMap::from([
        ("POSTRIDER_KAFKA_BROKERS".to_owned(), kafka::brokers()),
        ("POSTRIDER_KAFKA_TOPICS".to_owned(), format!("{there},{absent}")),
        ("POSTRIDER_POSTGRES_URL".to_owned(), postgres.url()),
    ]);
    let made = process::command(&settings).args(["produce", "--topic", &there, "--create-topic"]).output();
    assert!(made.expect("the binary starts").status.success());
    let output = process::command(&settings).args(["check", "--connect"]).output().expect("the binary starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 of 2 topics are there"), "{said}");
    assert!(said.contains(&format!("warning: of kafka.topics there is no `{absent}`")), "{said}");
}
