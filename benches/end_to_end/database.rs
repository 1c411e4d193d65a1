//! ● A PostgreSQL database of its own, gone when it is dropped.

use std::io;

use tokio_postgres::{Config, NoTls};

pub struct Database {
    server: String,
    name: String,
}

impl Database {
    /// On the server of `PG_URL`.
    pub fn create(name: &str) -> io::Result<Self> {
        let server = std::env::var("PG_URL").map_err(|_| io::Error::other("PG_URL is not set; use `make bench`"))?;
        let name = name.replace('-', "_");
        let database = Database { server, name };
        database.execute(&format!("CREATE DATABASE {}", database.name))?;
        Ok(database)
    }

    pub fn url(&self) -> String {
        let mut url = url::Url::parse(&self.server).expect("tokio-postgres read it");
        url.set_path(&self.name);
        url.into()
    }

    fn execute(&self, statement: &str) -> io::Result<()> {
        let config: Config = self.server.parse().map_err(io::Error::other)?;
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
            let (client, connection) = config.connect(NoTls).await.map_err(io::Error::other)?;
            let connection = tokio::spawn(connection);
            let result = client.batch_execute(statement).await.map_err(io::Error::other);
            drop(client);
            let _ = connection.await;
            result
        })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let _ = self.execute(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}
