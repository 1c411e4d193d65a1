//! ○ The demo's participants: three customers, and an endpoint for each way to subscribe in each way to be delivered
//! to.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::digest;
use serde_json::{Value, json};

use crate::model::scope::Scope;

pub(super) const ORDERS: &str = "demo.orders";
pub(super) const SHIPMENTS: &str = "demo.shipments";
/// The topic whose tenant and department stand in the payload instead of in headers.
pub(super) const INVOICES: &str = "demo.invoices";
pub(super) const TOPICS: [&str; 3] = [ORDERS, SHIPMENTS, INVOICES];

/// Places of the fields of [`INVOICES`], as the configuration has them.
pub(super) const INVOICE_PLACES: &str =
    r#"{ "demo.invoices" = { tenant = "json:/tenant/id", department = "json:/department", type = "json:/type" } }"#;

pub(super) const CUSTOMERS: [&str; 3] = ["acme", "globex", "initech"];

/// One endpoint of a customer, with its subscription and its receiver.
pub(super) struct DemoEndpoint {
    /// Its key in the API, and the path of its receiver.
    pub uid: &'static str,
    pub customer: &'static str,
    pub topic: &'static str,
    pub scope: Scope,
    pub batch: bool,
    pub mood: ReceiverMood,
    pub secret: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReceiverMood {
    /// Takes everything.
    Willing,
    /// Is out of order at times, and refuses some events for good.
    Picky,
}

impl DemoEndpoint {
    /// Name of its kind of subscription in the table.
    #[must_use]
    pub(super) fn level(&self) -> &'static str {
        match &self.scope {
            Scope::Topic => "whole topic",
            Scope::Tenants { .. } => "tenants",
            Scope::Departments { .. } => "departments",
        }
    }

    #[must_use]
    pub(super) fn mode(&self) -> &'static str {
        if self.batch { "batch" } else { "stream" }
    }

    #[must_use]
    pub(super) fn wants(&self, topic: &str, tenant: &str, department: &str) -> bool {
        topic == self.topic
            && match &self.scope {
                Scope::Topic => true,
                Scope::Tenants { tenants } => tenants.contains(tenant),
                Scope::Departments { departments } => {
                    departments.get(tenant).is_some_and(|of_tenant| of_tenant.contains(department))
                }
            }
    }

    /// The body of `PUT /v1/endpoints/{uid}`.
    #[must_use]
    pub(super) fn endpoint(&self, customer_id: &str, url: &str) -> Value {
        let mut endpoint =
            json!({ "customer_id": customer_id, "url": url, "mode": self.mode(), "secret": self.secret });
        if self.batch {
            endpoint["batch"] = json!({ "events_max": 100, "wait_ms_max": 1000, "bytes_max": 262_144 });
        }
        endpoint
    }

    /// The body of `PUT /v1/subscriptions/{uid}`.
    #[must_use]
    pub(super) fn subscription(&self, endpoint_id: &str) -> Value {
        json!({ "endpoint_id": endpoint_id, "topic": self.topic, "scope": self.scope })
    }
}

/// All parts. `salt` makes the secrets: the same ones for the same salt, so that a second run changes nothing.
#[must_use]
pub(super) fn parts(salt: &str) -> Vec<DemoEndpoint> {
    let part = |uid, customer, topic, scope, batch, mood| {
        let digest = digest::digest(&digest::SHA256, format!("{salt} {uid}").as_bytes());
        let secret = format!("whsec_{}", BASE64_STANDARD.encode(digest.as_ref()));
        DemoEndpoint { uid, customer, topic, scope, batch, mood, secret }
    };
    let some = || tenants(&["2", "3", "5", "7", "11"]);
    let parts_of_two = || departments(&[("2", &["100", "200", "300"]), ("3", &["100"])]);
    use ReceiverMood::{Picky, Willing};
    vec![
        part("demo-acme-stream", "acme", ORDERS, Scope::Topic, false, Willing),
        part("demo-acme-batch", "acme", ORDERS, Scope::Topic, true, Willing),
        part("demo-globex-stream", "globex", ORDERS, some(), false, Willing),
        part("demo-globex-batch", "globex", SHIPMENTS, some(), true, Willing),
        part("demo-initech-stream", "initech", ORDERS, parts_of_two(), false, Willing),
        part("demo-initech-batch", "initech", SHIPMENTS, parts_of_two(), true, Willing),
        part("demo-initech-json", "initech", INVOICES, parts_of_two(), false, Willing),
        part("demo-globex-picky", "globex", SHIPMENTS, tenants(&["4"]), false, Picky),
    ]
}

fn tenants(names: &[&str]) -> Scope {
    Scope::Tenants { tenants: set(names) }
}

fn departments(of: &[(&str, &[&str])]) -> Scope {
    let departments: BTreeMap<String, BTreeSet<String>> =
        of.iter().map(|(tenant, departments)| ((*tenant).to_owned(), set(departments))).collect();
    Scope::Departments { departments }
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_is_there_in_both_modes() {
        let seen: BTreeSet<_> = parts("salt").iter().map(|part| (part.level(), part.mode())).collect();
        assert_eq!(seen.len(), 6);
    }

    #[test]
    fn a_part_wants_what_its_scope_says() {
        let parts = parts("salt");
        let wants = |uid: &str, tenant, department| {
            parts.iter().find(|part| part.uid == uid).unwrap().wants(ORDERS, tenant, department)
        };
        assert!(wants("demo-acme-stream", "9", "1"));
        assert!(wants("demo-globex-stream", "2", "999") && !wants("demo-globex-stream", "4", "100"));
        assert!(wants("demo-initech-stream", "2", "300") && !wants("demo-initech-stream", "3", "300"));
    }

    #[test]
    fn the_same_salt_makes_the_same_secrets() {
        let secrets = |salt| parts(salt).into_iter().map(|part| part.secret).collect::<Vec<_>>();
        assert_eq!(secrets("a"), secrets("a"));
        assert!(secrets("a").iter().all(|secret| !secrets("b").contains(secret)));
    }
}
