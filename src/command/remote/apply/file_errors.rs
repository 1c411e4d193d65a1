//! ○ All that is known to be wrong with a file before anything of it is written: shapes, names that lead nowhere, and
//! subscriptions beyond the grants of their customers. What only the API can know is for the API to say.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value};

use crate::{
    admin::{
        endpoint_body::{self, EndpointRules},
        problem::Problem,
    },
    api::{customer, subscription},
    config::Config,
    endpoint::egress::Egress,
    model::grants::Grants,
};

/// Items of the API that a file names and does not make. `None`: there is no such thing.
#[derive(Debug, Default)]
pub(super) struct KnownItems {
    /// The customer's id of each endpoint.
    pub endpoints: HashMap<String, Option<String>>,
    pub customers: HashMap<String, Option<KnownCustomer>>,
}

#[derive(Debug)]
pub(super) struct KnownCustomer {
    pub uid: Option<String>,
    pub grants: Grants,
}

/// A file's sections, each item where it stands.
pub(super) struct File<'a> {
    sections: &'a Map<String, Value>,
    rules: EndpointRules,
}

impl<'a> File<'a> {
    pub(super) fn new(sections: &'a Map<String, Value>) -> Self {
        // Where an endpoint may lead is the operator's to say, and so is how long something may wait.
        let anywhere = ("anywhere", "[egress]\nallow = [\"0.0.0.0/0\", \"::/0\"]\nports_denied = []\n");
        let config = Config::parse(crate::config::DEFAULT, Some(anywhere), [], |_| Ok(String::new()));
        let egress = config.map_or_else(|_| crate::app::default_egress(), |config| Egress::from(&config));
        let rules = EndpointRules { park_after_ms: u64::MAX, backlog_age_max_ms: i64::MAX, egress: egress.into() };
        File { sections, rules }
    }

    fn items(&self, name: &str) -> &'a [Value] {
        match self.sections.get(name) {
            Some(Value::Array(items)) => items,
            Some(one @ Value::Object(_)) => std::slice::from_ref(one),
            _ => &[],
        }
    }

    /// Endpoints that subscriptions name and the file does not make.
    pub(super) fn endpoints_elsewhere(&self) -> BTreeSet<String> {
        let own = self.uids("endpoints");
        let named = self.items("subscriptions").iter().filter_map(|item| item["endpoint_id"].as_str());
        named.filter(|name| !own.contains(name)).map(str::to_owned).collect()
    }

    /// Customers that endpoints name and the file does not make; those of endpoints that stand elsewhere as well.
    pub(super) fn customers_elsewhere(&self, known: &KnownItems) -> BTreeSet<String> {
        let own = self.uids("customers");
        let named = self.items("endpoints").iter().filter_map(|item| item["customer_id"].as_str());
        let theirs = known.endpoints.values().flatten().map(String::as_str);
        named.chain(theirs).filter(|name| !own.contains(name)).map(str::to_owned).collect()
    }

    fn uids(&self, name: &str) -> BTreeSet<&'a str> {
        self.items(name).iter().filter_map(|item| item["uid"].as_str()).collect()
    }

    /// Every mistake, with its place.
    pub(super) fn mistakes(&self, known: &KnownItems) -> Vec<String> {
        let mut found = Vec::new();
        self.shapes("customers", &mut found, |item| Ok(customer::parse(item, &[]).map(drop)?));
        self.shapes("endpoints", &mut found, |item| endpoint_body::parse(item, &self.rules, &[]).map(drop));
        self.shapes("subscriptions", &mut found, |item| Ok(subscription::parse(item, &[]).map(drop)?));
        for (place, item) in self.items("endpoints").iter().enumerate() {
            let named = item["customer_id"].as_str().filter(|name| matches!(known.customers.get(*name), Some(None)));
            if let Some(name) = named {
                found
                    .push(format!("endpoints[{place}].customer_id there is no customer `{name}`, here or in the file"));
            }
        }
        for (place, item) in self.items("subscriptions").iter().enumerate() {
            self.subscription(place, item, known, &mut found);
        }
        found
    }

    fn shapes(&self, name: &str, found: &mut Vec<String>, parse: impl Fn(&Map<String, Value>) -> Result<(), Problem>) {
        for (place, item) in self.items(name).iter().enumerate() {
            let Some(item) = item.as_object() else {
                found.push(format!("{name}[{place}] must be an object"));
                continue;
            };
            let Err(problem) = parse(item) else { continue };
            found.extend(
                problem.errors.iter().map(|error| format!("{name}[{place}].{} {}", error.field, error.message)),
            );
        }
    }

    fn subscription(&self, place: usize, item: &Value, known: &KnownItems, found: &mut Vec<String>) {
        let Some(endpoint) = item["endpoint_id"].as_str() else { return };
        let customer = match self.only("endpoints", endpoint) {
            Some(made) => made["customer_id"].as_str(),
            None => match known.endpoints.get(endpoint) {
                Some(Some(customer)) => Some(customer.as_str()),
                Some(None) => {
                    let message = format!("there is no endpoint `{endpoint}`, here or in the file");
                    return found.push(format!("subscriptions[{place}].endpoint_id {message}"));
                }
                None => None,
            },
        };
        let (Some(customer), Some(item)) = (customer, item.as_object()) else { return };
        let (Some(grants), Ok(wanted)) = (self.grants(customer, known), subscription::parse(item, &[])) else { return };
        let beyond = grants.beyond(&wanted.topic, &wanted.scope);
        found.extend(beyond.iter().map(|beyond| format!("subscriptions[{place}] {beyond}")));
    }

    /// Grants of a customer once the file is written.
    fn grants(&self, customer: &str, known: &KnownItems) -> Option<Grants> {
        let there = known.customers.get(customer).and_then(Option::as_ref);
        let uid = there.map_or(Some(customer), |there| there.uid.as_deref());
        match uid.and_then(|uid| self.only("customers", uid)) {
            Some(made) => customer::parse(made.as_object()?, &[]).ok().map(|made| made.grants),
            None => there.map(|there| there.grants.clone()),
        }
    }

    /// The item of this uid. Several are told apart by the API alone.
    fn only(&self, name: &str, uid: &str) -> Option<&'a Value> {
        let mut same = self.items(name).iter().filter(|item| item["uid"].as_str() == Some(uid));
        same.next().filter(|_| same.next().is_none())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn customer(topics: &[&str]) -> Option<KnownCustomer> {
        let grants = serde_json::from_value(json!({"topics": topics, "tenants": ["2"]})).expect("grants");
        Some(KnownCustomer { uid: Some("acme".to_owned()), grants })
    }

    fn file(tenant: &str) -> Value {
        json!({
            "customers": [{"uid": "acme", "name": "Acme", "grants": {"topics": ["orders"], "tenants": ["2"]}}],
            "endpoints": [{"uid": "erp", "customer_id": "acme", "url": "http://10.0.0.1:5432/"}],
            "subscriptions": [
                {"uid": "s", "endpoint_id": "erp", "topic": "orders", "scope": {"level": "tenants", "tenants": [tenant]}},
                {"uid": "t", "endpoint_id": "elsewhere", "topic": "bills", "scope": {"level": "tenants", "tenants": ["2"]}},
            ],
        })
    }

    fn mistakes(file: &Value, known: &KnownItems) -> Vec<String> {
        File::new(file.as_object().expect("an object")).mistakes(known)
    }

    #[test]
    fn subscriptions_beyond_the_grants_of_the_same_file_are_found() {
        assert_eq!(
            mistakes(&file("2"), &KnownItems::default()),
            Vec::<String>::new(),
            "the rest is for the API to say"
        );
        let found = mistakes(&file("7"), &KnownItems::default());
        assert!(found.len() == 1 && found[0].contains("subscriptions[0] tenant `7`"), "{found:?}");
    }

    #[test]
    fn grants_that_stand_in_the_api_count_unless_the_file_changes_them() {
        let file = file("2");
        let sections = file.as_object().expect("an object");
        assert_eq!(File::new(sections).endpoints_elsewhere(), BTreeSet::from(["elsewhere".to_owned()]));
        let mut known = KnownItems::default();
        known.endpoints.insert("elsewhere".to_owned(), Some("cus_1".to_owned()));
        assert_eq!(File::new(sections).customers_elsewhere(&known), BTreeSet::from(["cus_1".to_owned()]));
        // The same customer as the file's: its new grants do not give `bills`.
        known.customers.insert("cus_1".to_owned(), customer(&["orders", "bills"]));
        let found = mistakes(&file, &known);
        assert!(found.len() == 1 && found[0].contains("subscriptions[1] topic `bills`"), "{found:?}");
        let mut without = file.clone();
        without["customers"] = json!([]);
        known.customers.insert("acme".to_owned(), customer(&["orders", "bills"]));
        assert_eq!(mistakes(&without, &known), Vec::<String>::new());
    }

    #[test]
    fn names_that_lead_nowhere_and_wrong_shapes_are_found_wherever_they_stand() {
        let mut file = file("2");
        file["customers"][0]["nmae"] = json!("x");
        file["endpoints"][0]["mode"] = json!("fast");
        file["subscriptions"][0]["topic"] = json!("no topic");
        let mut known = KnownItems::default();
        known.endpoints.insert("elsewhere".to_owned(), None);
        let found = mistakes(&file, &known);
        for place in
            ["customers[0].nmae", "endpoints[0].mode", "subscriptions[0].topic", "subscriptions[1].endpoint_id"]
        {
            assert!(found.iter().any(|one| one.starts_with(place)), "{place}: {found:#?}");
        }
        file["customers"] = json!([]);
        known.customers.insert("acme".to_owned(), None);
        let found = mistakes(&file, &known);
        assert!(
            found.iter().any(|one| one.contains("endpoints[0].customer_id there is no customer `acme`")),
            "{found:#?}"
        );
    }
}
