//! A fresh, migrated database for each test, dropped at its end.

use std::time::Duration;

use postrider::store::{self, Pool, PoolOptions};
use tokio_postgres::NoTls;

/// A database of this test alone.
pub struct Database {
    admin_url: String,
    name: String,
    pub url: String,
}

impl Database {
    /// Creates and migrates a database.
    pub async fn new() -> Database {
        let database = Database::empty().await;
        store::migrate(&database.url).await.expect("migrate");
        database
    }

    /// Creates a database without a schema.
    pub async fn empty() -> Database {
        let admin_url = server_url();
        let name = format!("it_{}", uuid::Uuid::now_v7().simple());
        execute(&admin_url, &format!("CREATE DATABASE {name}")).await;
        let url = with_database(&admin_url, &name);
        Database { admin_url, name, url }
    }

    pub fn options(&self) -> PoolOptions {
        PoolOptions {
            url: self.url.clone().into(),
            connections_max: 4,
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
            session: "",
        }
    }

    pub fn pool(&self) -> Pool {
        Pool::open(&self.options()).expect("pool")
    }

    /// As the API's: shared between its callers.
    pub fn shared_pool(&self) -> Pool {
        Pool::open_shared(&self.options(), tokio::runtime::Handle::current()).expect("pool")
    }

    /// A connection of the test's own.
    pub async fn connect(&self) -> tokio_postgres::Client {
        connect(&self.url).await
    }

    /// Statements of the test's own, on a connection of their own.
    pub async fn execute(&self, statements: &str) {
        execute(&self.url, statements).await;
    }

    /// The first column of the first row, as text.
    pub async fn value(&self, query: &str) -> Option<String> {
        let client = connect(&self.url).await;
        let rows = client.simple_query(query).await.expect(query);
        rows.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).map(ToOwned::to_owned)),
            _ => None,
        })?
    }

    pub async fn count(&self, table: &str) -> i64 {
        let count = self.value(&format!("SELECT count(*) FROM {table}")).await;
        count.and_then(|count| count.parse().ok()).expect("a count")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (url, statement) = (self.admin_url.clone(), format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        // A test's runtime may be gone or busy: the drop gets its own.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
            runtime.block_on(execute(&url, &statement));
        });
        let dropped = dropped.join();
        if !std::thread::panicking() {
            dropped.expect("the database is dropped");
        }
    }
}

async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("postgres answers");
    tokio::spawn(connection);
    client
}

async fn execute(url: &str, statements: &str) {
    connect(url).await.batch_execute(statements).await.expect(statements);
}

fn server_url() -> String {
    ["POSTRIDER_POSTGRES_URL", "PG_URL"].iter().find_map(|name| std::env::var(name).ok()).expect(
        "these tests need a PostgreSQL: `dev/services up`, then `eval \"$(dev/services env)\"`, or run `make test`",
    )
}

fn with_database(url: &str, name: &str) -> String {
    let mut url = url::Url::parse(url).expect("a postgres:// URL");
    url.set_path(name);
    url.into()
}
