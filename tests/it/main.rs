//! Tests against a real PostgreSQL and a real Kafka. Where they are is told by the environment: `dev/services env`.

mod postgres; // a fresh database for each test
mod store; // connections, migrations, settings
