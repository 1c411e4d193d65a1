//! ● The few REST calls that the demo makes; the same that a customer's own program would make.

use std::{sync::Arc, time::Duration};

use awc::http::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::fixtures::{CUSTOMERS, DemoEndpoint};
use crate::{
    api::{
        api_key::{IssuedApiKey, ListedApiKey},
        resource::ListPage,
    },
    command::remote::typed,
};

/// Postrider's REST API at an address.
#[derive(Clone)]
pub(super) struct Api {
    base: Arc<str>,
    key: SecretString,
    client: awc::Client,
}

const TIMEOUT: Duration = Duration::from_secs(10);
const PAGE_BYTES_MAX: usize = 16 << 20;
/// By which a key of an earlier run is known.
const KEY_NAME: &str = "demo";

impl Api {
    pub(super) fn new(base: &str, key: SecretString) -> Self {
        let client = awc::Client::builder().disable_redirects().timeout(TIMEOUT).finish();
        Api { base: base.trim_end_matches('/').into(), key, client }
    }

    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Everything the parts need. Each is written under its own key, so writing again changes nothing.
    pub(super) async fn create(&self, parts: &[DemoEndpoint], receivers: &str) -> Result<(), String> {
        for customer in CUSTOMERS {
            let body = json!({ "name": customer, "grants": { "topics": ["*"], "tenants": ["*"] } });
            let id = id_of(&self.put(&format!("/v1/customers/demo-{customer}"), &body).await?)?;
            for part in parts.iter().filter(|part| part.customer == customer) {
                let endpoint = part.endpoint(&id, &format!("{receivers}/{}", part.uid));
                let endpoint = id_of(&self.put(&format!("/v1/endpoints/{}", part.uid), &endpoint).await?)?;
                self.put(&format!("/v1/subscriptions/{}", part.uid), &part.subscription(&endpoint)).await?;
            }
        }
        Ok(())
    }

    /// True if the instance has its settings and its partitions.
    pub(super) async fn ready(&self) -> bool {
        let answer = self.client.get(format!("{}/readyz", self.base)).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// The page of `/metrics`, if there is one.
    pub(super) async fn metrics(&self) -> Option<String> {
        let mut answer = self.client.get(format!("{}/metrics", self.base)).send().await.ok()?;
        if !answer.status().is_success() {
            return None;
        }
        let page = answer.body().limit(PAGE_BYTES_MAX).await.ok()?;
        String::from_utf8(page.to_vec()).ok()
    }

    /// A key with which one customer signs in; those of earlier runs end.
    pub(super) async fn customer_key(&self, customer: &str) -> Result<String, String> {
        let keys = self.send(Method::GET, &format!("/v1/api-keys?limit=250&customer_id=demo-{customer}"), None).await?;
        let keys: ListPage<ListedApiKey> = typed(&keys)?;
        for id in keys.data.iter().filter(|listed| listed.key.name == KEY_NAME).map(|listed| &listed.key.id) {
            self.send(Method::DELETE, &format!("/v1/api-keys/{id}"), None).await?;
        }
        let body = json!({ "name": KEY_NAME, "role": "customer", "customer_id": format!("demo-{customer}") });
        let key: IssuedApiKey = typed(&self.send(Method::POST, "/v1/api-keys", Some(&body)).await?)?;
        Ok(key.token)
    }

    async fn put(&self, path: &str, body: &Value) -> Result<Value, String> {
        self.send(Method::PUT, path, Some(body)).await
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let what = format!("{method} {path}");
        let request = self.client.request(method, format!("{}{path}", self.base)).bearer_auth(self.key.expose_secret());
        let answer = match body {
            Some(body) => request.send_json(body).await,
            None => request.send().await,
        };
        let mut answer = answer.map_err(|error| format!("{what} at {}: {error}", self.base))?;
        let text = answer.body().await.map_err(|error| format!("{what}: {error}"))?;
        if !answer.status().is_success() {
            return Err(format!("{what} was answered {}: {}", answer.status(), String::from_utf8_lossy(&text)));
        }
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&text).map_err(|error| format!("{what}: the answer is not JSON: {error}"))
    }
}

fn id_of(resource: &Value) -> Result<String, String> {
    resource["id"].as_str().map(str::to_owned).ok_or_else(|| format!("the API's answer has no id: {resource}"))
}
