//! Endpoints that take nothing, and since when: several instances report, and what is over is forgotten.

use std::time::Duration;

use postrider::{
    model::settings::EndpointState,
    store::{
        Pool,
        endpoint_failures::{FailingEndpoint, FailureReport, SuccessReport, all, deliver, fail, warn},
        endpoints,
    },
};

use crate::api::{Api, all as all_grants};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// An endpoint, what is known of it, and what instances say.
struct Endpoint {
    api: Api,
    pool: Pool,
    id: String,
}

impl Endpoint {
    async fn new() -> Endpoint {
        let api = Api::new().await;
        api.customer("acme", all_grants()).await;
        let id = api.endpoint("acme", "hook").await["id"].as_str().expect("an id").to_owned();
        Endpoint { pool: api.database.pool(), api, id }
    }

    async fn fails(&self, first_ago_ms: i64, last_ago_ms: i64) {
        let report = FailureReport { endpoint_id: &self.id, first_ago_ms, last_ago_ms };
        fail(&self.pool, &[report]).await.expect("noted");
    }

    async fn took_something(&self, ago_ms: i64) {
        deliver(&self.pool, &[SuccessReport { endpoint_id: &self.id, ago_ms }]).await.expect("noted");
    }

    /// So much time goes by.
    async fn later(&self, ms: i64) {
        let later =
            ["since", "delivered_at", "seen_at"].map(|column| format!("{column} = {column} - interval '{ms} ms'"));
        self.api.database.execute(&format!("UPDATE endpoint_failing SET {}", later.join(", "))).await;
    }

    async fn becomes(&self, from: EndpointState, to: EndpointState) {
        assert!(endpoints::change_state(&self.pool, &self.id, i64::MAX, (&[from], to), "test").await.expect("written"));
    }

    async fn known(&self) -> Option<FailingEndpoint> {
        all(&self.pool).await.expect("read").pop()
    }

    /// Minutes for which it has taken nothing, as far as that is to be decided about.
    async fn failing_minutes(&self) -> Option<i64> {
        let current = self.known().await.filter(|known| known.is_current)?;
        current.failing_ms.map(|ms| ms / MINUTE)
    }
}

#[actix_rt::test]
async fn a_failure_counts_from_the_last_success_of_any_instance() {
    let endpoint = Endpoint::new().await;
    endpoint.fails(2 * DAY, MINUTE).await;
    endpoint.fails(DAY, 0).await;
    assert_eq!(endpoint.failing_minutes().await, Some(2 * DAY / MINUTE), "the first one counts");
    endpoint.later(10 * MINUTE).await;
    endpoint.took_something(5 * MINUTE).await;
    assert_eq!(endpoint.failing_minutes().await, None);
    // One instance has seen failures only, before the success and after it.
    endpoint.fails(3 * DAY, 0).await;
    assert_eq!(endpoint.failing_minutes().await, Some(5));
}

#[actix_rt::test]
async fn an_instance_whose_last_failure_is_older_than_a_success_elsewhere_says_nothing() {
    let endpoint = Endpoint::new().await;
    endpoint.fails(20 * MINUTE, 10 * MINUTE).await;
    endpoint.later(DAY).await;
    endpoint.took_something(5 * MINUTE).await;
    endpoint.later(6 * DAY).await;
    // It has sent nothing to it since then, for another instance has the partition.
    endpoint.fails(7 * DAY + 20 * MINUTE, 7 * DAY + 10 * MINUTE).await;
    assert_eq!(endpoint.failing_minutes().await, None);
}

#[actix_rt::test]
async fn after_a_recovery_or_a_long_silence_another_failure_begins_with_warnings() {
    let endpoint = Endpoint::new().await;
    for recovers in [true, false] {
        endpoint.fails(3 * DAY, 0).await;
        assert!(warn(&endpoint.pool, &endpoint.id, 0, 50).await.expect("noted"));
        if recovers {
            endpoint.took_something(0).await;
        }
        endpoint.later(6 * DAY).await;
        assert_eq!(endpoint.failing_minutes().await, None);
        endpoint.fails(MINUTE, 0).await;
        let known = endpoint.known().await.expect("a row");
        assert_eq!((endpoint.failing_minutes().await, known.warned_percent), (Some(1), 0), "recovers: {recovers}");
    }
}

#[actix_rt::test]
async fn an_endpoint_is_not_disabled_past_a_success_that_was_told_meanwhile() {
    let endpoint = Endpoint::new().await;
    let disable = async || {
        let time = Duration::from_secs(86_400);
        endpoints::disable_failing(&endpoint.pool, &endpoint.id, time, "test").await.expect("decided")
    };
    let is_disabled = async || {
        let read = endpoints::read(&endpoint.pool, &endpoint.id, None).await.expect("read");
        read.found().is_some_and(|endpoint| endpoint.state == EndpointState::Disabled)
    };
    endpoint.fails(2 * DAY, 0).await;
    // Another instance, after this one has decided by what it had read.
    endpoint.took_something(MINUTE).await;
    assert!(!disable().await, "it takes events");
    endpoint.fails(2 * DAY, 0).await;
    assert!(!disable().await, "it took one a minute ago");
    assert!(!is_disabled().await);
    endpoint.later(DAY).await;
    assert!(disable().await);
    assert!(is_disabled().await);
    assert!(!disable().await, "it is disabled already");
}

#[actix_rt::test]
async fn what_failed_before_a_change_of_state_does_not_count_after_it() {
    let endpoint = Endpoint::new().await;
    endpoint.fails(DAY, 0).await;
    endpoint.becomes(EndpointState::Enabled, EndpointState::Paused).await;
    // An instance that has not heard of it yet.
    endpoint.fails(DAY, MINUTE).await;
    endpoint.later(6 * DAY).await;
    endpoint.becomes(EndpointState::Paused, EndpointState::Enabled).await;
    assert_eq!(endpoint.failing_minutes().await, None);
    endpoint.later(20 * MINUTE).await;
    endpoint.fails(2 * MINUTE, 0).await;
    assert_eq!(endpoint.failing_minutes().await, Some(2));
}
