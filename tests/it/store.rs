//! Connections, migrations, settings, first start and instances.

use std::{collections::HashMap, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use postrider::{
    model::{scope::Scope, settings::EndpointState},
    store::{
        self, StoreError,
        first_start::{PartitionOffsets, first_start, record_first_start},
        instances,
        secret_box::SecretBox,
        secrets::{EndpointSecrets, StoredAuth, StoredSigningSecret, signing_secret},
        settings::{EndpointRow, SettingsReader, SubscriptionRow},
    },
};

use crate::postgres::Database;

fn secret_box() -> SecretBox {
    SecretBox::new(&BASE64_STANDARD.encode([7; 32])).expect("key")
}

fn sealed(endpoint: &str) -> String {
    let secrets = EndpointSecrets {
        auth: StoredAuth::None,
        signing: vec![StoredSigningSecret { secret: signing_secret([1; 32]), expires_ms: None }],
    };
    let sealed = secret_box().seal(endpoint, &secrets.to_bytes(), [3; 24]);
    sealed.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A customer with these grants.
fn customer(id: &str, grants: &str) -> String {
    format!("INSERT INTO customer (id, name, grants, version) VALUES ('{id}', '{id}', '{grants}', 1);")
}

fn endpoint(id: &str, customer: &str, version: i64) -> String {
    format!(
        "INSERT INTO endpoint (id, customer_id, state, url, settings, secrets, version)
         VALUES ('{id}', '{customer}', 'enabled', 'https://example.com/', '{{}}', '\\x{}', {version});",
        sealed(id)
    )
}

fn subscription(id: &str, endpoint: &str, scope: &str, version: i64) -> String {
    format!(
        "INSERT INTO subscription (id, endpoint_id, topic, scope, version)
         VALUES ('{id}', '{endpoint}', 'orders', '{scope}', {version});"
    )
}

fn present(rows: &[EndpointRow]) -> Vec<&str> {
    rows.iter()
        .filter_map(|row| match row {
            EndpointRow::Present(settings) => Some(&*settings.id),
            EndpointRow::Absent { .. } => None,
        })
        .collect()
}

const ALL: &str = r#"{"topics": ["*"], "tenants": ["*"]}"#;

#[tokio::test]
async fn migrating_twice_and_at_once_leaves_one_schema() {
    let database = Database::empty().await;
    let (first, second) = tokio::join!(store::migrate(&database.url), store::migrate(&database.url));
    assert_eq!((first, second), (Ok(()), Ok(())));
    assert_eq!(store::migrate(&database.url).await, Ok(()));
    assert_eq!(database.count("config_version").await, 1);
}

#[tokio::test]
async fn an_older_version_starts_on_a_newer_schema() {
    let database = Database::new().await;
    database
        .execute("INSERT INTO refinery_schema_history VALUES (1000, 'of_a_newer_version', '2026-01-01T00:00:00Z', '1')")
        .await;
    assert_eq!(store::migrate(&database.url).await, Ok(()));
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable_and_the_password_stays_secret() {
    let mut options = Database::empty().await.options();
    options.url = "postgres://postrider:hunter2@127.0.0.1:1/postrider".to_owned().into();
    let pool = store::Pool::open(&options).expect("pool");
    let error = instances::heartbeat(&pool, "i", None, "0").await.expect_err("nothing listens there");
    assert!(error.is_unavailable(), "{error}");
    assert!(!format!("{error} {error:?} {pool:?} {options:?}").contains("hunter2"));
}

#[tokio::test]
async fn an_abandoned_statement_never_meets_the_next_user_of_the_pool() {
    let database = Database::new().await;
    let mut options = database.options();
    options.connections_max = 1;
    let pool = store::Pool::open(&options).expect("pool");
    let backend = async || {
        pool.with(async |client| Ok(client.query_one("SELECT pg_backend_pid()", &[]).await?.get::<_, i32>(0))).await
    };

    let first = backend().await.expect("a backend");
    assert_eq!(backend().await, Ok(first), "a healthy connection is used again");

    let sleep = pool.with_deadline(Duration::from_millis(1), async |client| {
        Ok(client.execute("SELECT pg_sleep(3600)", &[]).await.map(drop)?)
    });
    assert_eq!(sleep.await, Err(StoreError::TimedOut(Duration::from_millis(1))));
    let second = backend().await.expect("a backend");
    assert_ne!(second, first, "after a timeout the connection is another one");

    // A caller that gives up.
    let sleep = pool.with(async |client| Ok(client.execute("SELECT pg_sleep(3600)", &[]).await.map(drop)?));
    assert!(tokio::time::timeout(Duration::from_millis(20), sleep).await.is_err());
    assert_ne!(backend().await, Ok(second), "after a cancelled call the connection is another one");
}

#[tokio::test]
async fn a_read_only_server_is_left_for_another_connection() {
    let database = Database::new().await;
    let pool = database.pool();
    instances::heartbeat(&pool, "i", None, "0").await.expect("writable");
    let write = async |client: &mut deadpool_postgres::Client| {
        client.batch_execute("SET default_transaction_read_only = on").await?;
        Ok(client.execute("DELETE FROM instance", &[]).await.map(drop)?)
    };
    let error = pool.with(write).await.expect_err("read-only");
    assert!(error.is_unavailable(), "{error}");
    instances::heartbeat(&pool, "i", None, "0").await.expect("the next connection is a new one");
}

#[tokio::test]
async fn a_connection_inside_a_failed_transaction_is_left_for_another_one() {
    let database = Database::new().await;
    let mut options = database.options();
    options.connections_max = 1;
    let pool = store::Pool::open(&options).expect("pool");
    let work = async |client: &mut deadpool_postgres::Client| Ok(client.batch_execute("BEGIN; SELECT 1 / 0").await?);
    pool.with(work).await.expect_err("a division by zero");
    let error = instances::heartbeat(&pool, "i", None, "0").await.expect_err("the transaction has failed");
    assert!(error.is_unavailable(), "{error}");
    instances::heartbeat(&pool, "i", None, "0").await.expect("the next connection is a new one");
}

#[tokio::test]
async fn the_first_to_record_where_a_group_began_decides_for_all() {
    let database = Database::new().await;
    let pool = database.pool();
    assert_eq!(first_start(&pool, "g").await, Ok(None));
    let rows = |offset| -> PartitionOffsets { HashMap::from([(("orders".to_owned(), 0), offset)]) };
    let (ten, twenty) = (rows(10), rows(20));
    let (a, b) = tokio::join!(record_first_start(&pool, "g", &ten), record_first_start(&pool, "g", &twenty));
    let (a, b) = (a.expect("recorded"), b.expect("recorded"));
    assert_eq!(a, b);
    assert!(a.positions == ten || a.positions == twenty);
    assert!(a.at_ms > 0, "and when that was");
    assert_eq!(first_start(&pool, "g").await, Ok(Some(a)));
    let none = record_first_start(&pool, "without_topics", &PartitionOffsets::new()).await.expect("recorded");
    assert_eq!(none.positions, PartitionOffsets::new());
    assert_eq!(first_start(&pool, "without_topics").await, Ok(Some(none)));
}

#[tokio::test]
async fn live_instances_know_each_other() {
    let database = Database::new().await;
    let pool = database.pool();
    let others = async |id| {
        let others = instances::heartbeat(&pool, id, Some("10.0.0.1:8080"), "0.1").await.expect("a beat");
        others.into_iter().map(|other| (other.id, other.address)).collect::<Vec<_>>()
    };
    let known = |id: &str| (id.to_owned(), Some("10.0.0.1:8080".to_owned()));
    assert_eq!(others("a").await, []);
    assert_eq!(others("b").await, [known("a")]);
    assert_eq!(others("a").await, [known("b")]);
    database.execute("UPDATE instance SET seen_at = now() - interval '11 seconds' WHERE id = 'b'").await;
    assert_eq!(others("a").await, []);
    others("b").await;
    instances::leave(&pool, "b").await.expect("left");
    assert_eq!(others("a").await, []);
}

#[tokio::test]
async fn a_topic_that_any_live_instance_reads_is_claimed_whoever_has_lived_longest() {
    let database = Database::new().await;
    let pool = database.pool();
    let beat = async |id: &str, topics: &[&str]| {
        instances::heartbeat(&pool, id, None, "0").await.expect("a beat");
        let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
        instances::claim(&pool, id, &topics).await.expect("a claim");
    };
    beat("elder", &["a"]).await;
    beat("younger", &["a", "b"]).await;
    let claims = instances::claims(&pool).await.expect("claims");
    assert_eq!(instances::eldest(&pool).await, Ok(Some("elder".to_owned())));
    assert!(claims.contain("a") && claims.contain("b"), "the elder one does not send what the younger one reads");
    assert!(!claims.contain("c"));
    database.execute("UPDATE instance SET seen_at = now() - interval '11 seconds' WHERE id = 'younger'").await;
    assert!(!instances::claims(&pool).await.expect("claims").contain("b"), "who is gone claims nothing");
    database.execute("INSERT INTO instance (id) VALUES ('of an older version')").await;
    assert!(instances::claims(&pool).await.expect("claims").contain("b"), "who has not said what it reads may read it");
}

#[tokio::test]
async fn a_full_load_has_what_stands_and_a_delta_what_changed() {
    let database = Database::new().await;
    let reader = SettingsReader::new(database.pool(), secret_box());
    let topic = r#"{"level": "topic"}"#;
    database
        .execute(&[customer("cus_1", ALL), endpoint("ep_1", "cus_1", 1), endpoint("ep_2", "cus_1", 2)].concat())
        .await;
    database
        .execute(&[subscription("sub_1", "ep_1", topic, 3), subscription("sub_2", "ep_2", topic, 4)].concat())
        .await;
    database.execute("UPDATE config_version SET version = 4").await;
    assert_eq!(reader.version().await.map(|newest| newest.version), Ok(4));

    let all = reader.load_since(-1).await.expect("load");
    assert_eq!((all.version, present(&all.endpoints)), (4, vec!["ep_1", "ep_2"]));
    assert_eq!(all.subscriptions.len(), 2);
    assert_eq!(reader.load_since(4).await.expect("load").endpoints.len(), 0);

    database.execute("UPDATE endpoint SET deleted_at = now(), version = 5 WHERE id = 'ep_2'").await;
    database.execute("UPDATE subscription SET deleted_at = now(), version = 5 WHERE id = 'sub_2'").await;
    database.execute("UPDATE config_version SET version = 5").await;
    let delta = reader.load_since(4).await.expect("load");
    assert!(matches!(&delta.endpoints[..], [EndpointRow::Absent { id }] if id == "ep_2"));
    assert_eq!(delta.subscriptions, [SubscriptionRow::Absent { id: "sub_2".to_owned() }]);
    assert_eq!(delta.version, 5);

    let mut chunks = 0;
    let mut opened = None;
    assert_eq!(reader.load_all(|newest| opened = Some(newest.version), |_| chunks += 1).await, Ok(5));
    assert_eq!(opened, Some(5));
    assert_eq!(chunks, 2, "one of endpoints, one of subscriptions");
}

#[tokio::test]
async fn a_row_that_cannot_be_read_costs_only_its_own_endpoint() {
    let database = Database::new().await;
    let reader = SettingsReader::new(database.pool(), secret_box());
    let rows = ["ep_1", "ep_2", "ep_3", "ep_4", "ep_5"].map(|id| endpoint(id, "cus_1", 1)).concat();
    database.execute(&(customer("cus_1", ALL) + &rows)).await;
    database.execute("UPDATE endpoint SET settings = '{\"mode\": 5}' WHERE id = 'ep_1'").await;
    database.execute("UPDATE endpoint SET url = 'gopher://x' WHERE id = 'ep_2'").await;
    // Another endpoint's ciphertext.
    database
        .execute("UPDATE endpoint SET secrets = (SELECT secrets FROM endpoint WHERE id = 'ep_5') WHERE id = 'ep_3'")
        .await;
    database.execute(&subscription("sub_1", "ep_4", r#"{"level": "planet"}"#, 1)).await;
    let loaded = reader.load_since(-1).await.expect("load");
    let enabled = loaded.endpoints.iter().filter_map(|row| match row {
        EndpointRow::Present(settings) if settings.state == EndpointState::Enabled => Some(&*settings.id),
        _ => None,
    });
    assert_eq!(enabled.collect::<Vec<_>>(), ["ep_4", "ep_5"]);
    assert_eq!(present(&loaded.endpoints).len(), 5, "the others are there, so that their events are kept");
    let unreadable = SubscriptionRow::Unreadable { id: "sub_1".to_owned(), topic: "orders".to_owned() };
    assert_eq!(loaded.subscriptions, [unreadable]);
}

#[tokio::test]
async fn a_subscription_gives_no_more_than_todays_grants() {
    let database = Database::new().await;
    let reader = SettingsReader::new(database.pool(), secret_box());
    let some = r#"{"topics": ["orders"], "tenants": ["2"]}"#;
    database.execute(&(customer("cus_1", some) + &endpoint("ep_1", "cus_1", 1))).await;
    database
        .execute(
            &[
                subscription("sub_1", "ep_1", r#"{"level": "topic"}"#, 1),
                subscription("sub_2", "ep_1", r#"{"level": "tenants", "tenants": ["1", "2"]}"#, 1),
            ]
            .concat(),
        )
        .await;
    let loaded = reader.load_since(-1).await.expect("load");
    let narrowed = SubscriptionRow::Present {
        id: "sub_2".to_owned(),
        endpoint_id: "ep_1".to_owned(),
        topic: "orders".to_owned(),
        scope: Scope::Tenants { tenants: ["2".to_owned()].into() },
    };
    assert_eq!(loaded.subscriptions, [SubscriptionRow::Absent { id: "sub_1".to_owned() }, narrowed]);
}

#[tokio::test]
async fn grants_that_cannot_be_read_grant_nothing_and_are_not_taken_for_none() {
    let database = Database::new().await;
    let reader = SettingsReader::new(database.pool(), secret_box());
    let rows = [
        customer("cus_1", r#"{"v": 2}"#),
        endpoint("ep_1", "cus_1", 1),
        subscription("sub_1", "ep_1", r#"{"level": "topic"}"#, 1),
        subscription("sub_2", "ep_1", r#"{"level": "planet"}"#, 1),
    ];
    database.execute(&rows.concat()).await;
    let loaded = reader.load_since(-1).await.expect("load");
    let ungranted = |id: &str| SubscriptionRow::Ungranted { id: id.to_owned(), topic: "orders".to_owned() };
    assert_eq!(loaded.subscriptions, [ungranted("sub_1"), ungranted("sub_2")]);
}

#[tokio::test]
async fn loading_and_beating_may_run_as_tasks_of_their_own() {
    let database = Database::new().await;
    let reader = SettingsReader::new(database.pool(), secret_box());
    let pool = database.pool();
    let load = tokio::spawn(async move { reader.load_since(-1).await });
    let beat = tokio::spawn(async move { instances::heartbeat(&pool, "i", None, "0").await });
    let first = tokio::spawn({
        let pool = database.pool();
        async move { record_first_start(&pool, "g", &PartitionOffsets::new()).await }
    });
    assert_eq!(load.await.expect("task").expect("load").version, 0);
    assert_eq!(beat.await.expect("task"), Ok(Vec::new()));
    assert_eq!(first.await.expect("task").expect("recorded").positions, PartitionOffsets::new());
}

#[tokio::test]
async fn a_mistake_about_values_is_not_taken_for_the_servers_absence() {
    let database = Database::empty().await;
    let pool = database.pool();
    let sent = pool.with(async |client| Ok(client.query("SELECT $1::int", &[&"text"]).await.map(drop)?)).await;
    assert!(matches!(&sent, Err(error @ StoreError::Unsendable(_)) if error.blames_data()), "{sent:?}");
    let read = pool.with(async |client| Ok(client.query_one("SELECT 1", &[]).await?.try_get::<_, String>(0)?)).await;
    assert!(matches!(read, Err(StoreError::Unreadable(_))), "{read:?}");
    let none = pool.with(async |client| Ok(client.query_one("SELECT 1 WHERE false", &[]).await.map(drop)?)).await;
    assert!(matches!(none, Err(StoreError::Unreadable(_))), "{none:?}");
}

#[tokio::test]
async fn long_lists_of_names_are_read_in_parts_and_all_of_them() {
    let database = Database::new().await;
    let names: Vec<String> = (0..10_000).map(|name| format!("\"t{name}\"")).collect();
    let scope = format!("{{\"level\": \"tenants\", \"tenants\": [{}]}}", names.join(","));
    let mut statements = customer("cus_1", ALL) + &endpoint("ep_1", "cus_1", 1);
    statements.extend((0..13).map(|n| subscription(&format!("sub_{n:02}"), "ep_1", &scope, 1)));
    database.execute(&(statements + "UPDATE config_version SET version = 1;")).await;
    let reader = SettingsReader::new(database.pool(), secret_box());
    let mut parts = Vec::new();
    let each = |chunk| {
        if let store::settings::SettingsChunk::Subscriptions(rows) = chunk {
            parts.push(rows.len());
        }
    };
    reader.load_all(drop, each).await.expect("loaded");
    assert_eq!(parts, [5, 5, 3], "none has many more than fifty thousand names");
    let delta = reader.load_since(0).await.expect("loaded");
    assert_eq!(delta.subscriptions.len(), 13);
}
