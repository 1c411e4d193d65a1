//! ● A database of the story's own, behind a wire that can be cut.

use std::{collections::HashSet, ops::RangeInclusive, time::Duration};

use tokio_postgres::{Client, NoTls, types::ToSql};

use super::{block_on, link::Link, produced::KafkaPosition, service};

/// Connections of this name are the story's own.
const OURS: &str = "the story";
const EVERYWHERE: RangeInclusive<i64> = i64::MIN..=i64::MAX;

/// One story's database.
pub struct Postgres {
    name: String,
    /// The server itself.
    server: url::Url,
    link: Link,
}

/// A dead letter of an endpoint, by where its record lies.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct LetterPlace {
    pub endpoint_id: String,
    pub place: KafkaPosition,
}

impl Postgres {
    /// Makes the database.
    pub fn create(name: &str) -> Self {
        let server = url::Url::parse(&service("POSTRIDER_POSTGRES_URL")).expect("POSTRIDER_POSTGRES_URL is a URL");
        let (host, port) = (server.host_str().expect("a host"), server.port().unwrap_or(5432));
        let link = Link::to(&format!("{host}:{port}"));
        block_on(async {
            let client = connect(&server).await;
            client.batch_execute(&format!("CREATE DATABASE \"{name}\"")).await.expect("a database");
        });
        Postgres { name: name.to_owned(), server, link }
    }

    /// As Postrider is told it: over the wire that can be cut.
    pub fn url(&self) -> String {
        let mut url = self.database();
        url.set_host(Some("127.0.0.1")).expect("a host");
        url.set_port(Some(self.link.address().port())).expect("a port");
        url.to_string()
    }

    /// Postgres answers nothing any more, and breaks no connection.
    pub fn freeze(&self) {
        self.link.freeze();
    }

    /// Postgres is gone.
    pub fn go_away(&self) {
        self.link.go_away();
    }

    /// The connections that exist now answer nothing any more; new ones do.
    pub fn freeze_present(&self) {
        self.link.freeze_present();
    }

    /// Ends a freeze or an absence.
    pub fn come_back(&self) {
        self.link.come_back();
    }

    /// The version of the newest write of settings.
    pub fn settings_version(&self) -> i64 {
        self.with(async |client| {
            client.query_one("SELECT version FROM config_version", &[]).await.expect("a version").get(0)
        })
    }

    /// Every dead letter there is.
    pub fn dead_letters(&self) -> HashSet<LetterPlace> {
        self.dead_letters_at(&EVERYWHERE)
    }

    /// Those of records at these offsets, whatever their partition.
    pub fn dead_letters_at(&self, offsets: &RangeInclusive<i64>) -> HashSet<LetterPlace> {
        self.places("dead_letter", offsets)
    }

    /// What still waits to be delivered.
    pub fn backlog(&self) -> HashSet<LetterPlace> {
        self.backlog_at(&EVERYWHERE)
    }

    /// As [`Postgres::backlog`], of records at these offsets, whatever their partition.
    pub fn backlog_at(&self, offsets: &RangeInclusive<i64>) -> HashSet<LetterPlace> {
        let there = self.with(async |client| {
            client.query_one("SELECT to_regclass('backlog') IS NOT NULL", &[]).await.expect("an answer").get(0)
        });
        if there { self.places("backlog", offsets) } else { HashSet::new() }
    }

    fn places(&self, table: &str, offsets: &RangeInclusive<i64>) -> HashSet<LetterPlace> {
        let query =
            format!(r#"SELECT endpoint_id, topic, partition, "offset" FROM {table} WHERE "offset" BETWEEN $1 AND $2"#);
        let ends: [&(dyn ToSql + Sync); 2] = [offsets.start(), offsets.end()];
        let rows = self.with(async |client| client.query(&query, &ends).await.expect("rows"));
        let letter = |row: tokio_postgres::Row| LetterPlace {
            endpoint_id: row.get(0),
            place: KafkaPosition { topic: row.get(1), partition: row.get(2), offset: row.get(3) },
        };
        rows.into_iter().map(letter).collect()
    }

    /// What a query counts.
    pub fn count(&self, query: &str) -> i64 {
        self.with(async |client| client.query_one(query, &[]).await.expect("a count").get(0))
    }

    /// Statements of the story's own.
    pub fn execute(&self, statements: &str) {
        self.with(async |client| client.batch_execute(statements).await.expect("they are carried out"));
    }

    /// A transaction that has carried out these statements, and ends when it is dropped: nothing of it stays.
    pub fn hold(&self, statements: &str) -> impl Sized + use<> {
        // The connection lives on it.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let client = runtime.block_on(async {
            let client = connect(&self.database()).await;
            client.batch_execute(&format!("BEGIN; {statements}")).await.expect("they are carried out");
            client
        });
        (client, runtime)
    }

    /// From now on, whatever would store an event is told that the disk is full; or no longer.
    pub fn fill_disk(&self, full: bool) {
        let tables = self.with(async |client| {
            let query = "SELECT table_name FROM information_schema.tables
                         WHERE table_schema = 'public' AND table_name IN ('dead_letter', 'dead_letter_key', 'backlog')";
            let rows = client.query(query, &[]).await.expect("tables");
            rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>()
        });
        let refuse = "CREATE OR REPLACE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS
                      $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100';
                      END $$";
        self.execute(refuse);
        for table in tables {
            self.execute(&match full {
                // Before any row: a statement without rows needs no space.
                true => format!("CREATE TRIGGER disk_full BEFORE INSERT ON {table} EXECUTE FUNCTION disk_full()"),
                false => format!("DROP TRIGGER disk_full ON {table}"),
            });
        }
    }

    /// As after a failover to a server that only reads; or no longer. For connections from now on.
    pub fn read_only(&self, read_only: bool) {
        let setting = if read_only { "on" } else { "off" };
        let alter = format!(r#"ALTER DATABASE "{}" SET default_transaction_read_only = {setting}"#, self.name);
        self.with(async |client| {
            // Ours is one of those connections.
            client.batch_execute("SET default_transaction_read_only = off").await.expect("it is set");
            client.batch_execute(&alter).await.expect("it is set");
        });
    }

    /// Every connection of Postrider's is ended by the server.
    pub fn terminate_connections(&self) {
        self.with(async |client| {
            let all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                       WHERE datname = current_database() AND application_name <> $1";
            client.query(all, &[&OURS]).await.expect("they end");
        });
    }

    /// A conversation past the wire.
    pub fn with<T>(&self, talk: impl AsyncFnOnce(&Client) -> T) -> T {
        block_on(async { talk(&connect(&self.database()).await).await })
    }

    fn database(&self) -> url::Url {
        let mut url = self.server.clone();
        url.set_path(&self.name);
        url
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE IF EXISTS \"{}\" WITH (FORCE)", self.name);
        let _ = std::panic::catch_unwind(|| {
            block_on(async { connect(&self.server).await.batch_execute(&drop).await.expect("the database goes") });
        });
    }
}

async fn connect(url: &url::Url) -> Client {
    const TRIES: u32 = 3;
    let mut config: tokio_postgres::Config = url.as_str().parse().expect("a URL");
    config.application_name(OURS);
    let mut connected = config.connect(NoTls).await;
    for _ in 1..TRIES {
        if connected.is_err() {
            tokio::time::sleep(Duration::from_secs(1)).await; // a machine that was paused
            connected = config.connect(NoTls).await;
        }
    }
    let (client, connection) = connected.expect("Postgres answers");
    tokio::spawn(connection);
    client
}
