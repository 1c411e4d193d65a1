//! What a newcomer sees first.

use std::{collections::BTreeMap, process::Stdio};

use crate::harness::{kafka, postgres::Postgres, process};

#[test]
fn the_demo_delivers_at_every_level_in_both_modes_and_says_so() {
    let postgres = Postgres::create(&format!("it_demo_{}", std::process::id()));
    let settings = BTreeMap::from([
        ("POSTRIDER_KAFKA_BROKERS".to_owned(), kafka::brokers()),
        ("POSTRIDER_POSTGRES_URL".to_owned(), postgres.url()),
        ("POSTRIDER_ADMIN_KEY".to_owned(), "the-key-of-the-stories".to_owned()),
        ("POSTRIDER_SECRETS_KEY".to_owned(), "c3Rvcmllcywgc3RvcmllcywgYW5kIHN0b3JpZXMuLi4=".to_owned()),
        // Taken or not, it finds an address.
        ("POSTRIDER_ADMIN_BIND".to_owned(), "127.0.0.1:8080".to_owned()),
    ]);
    // Twice: what the first run made is there already.
    for _ in 0..2 {
        let mut demo = process::command(&settings);
        let output = demo.args(["demo", "--seconds", "2"]).stdin(Stdio::null()).output().expect("the binary runs");
        let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{said}\n{complained}");
        assert!(said.contains("everything arrived"), "{said}");
    }
}
