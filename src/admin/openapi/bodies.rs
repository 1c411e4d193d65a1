//! ○ The shapes of what is sent to the API: those of the types that it is read into.

use serde_json::{Map, Value, json};

use super::{
    documented::Documented,
    schema::{body, list_of},
};
use crate::{
    admin::bulk::ITEMS_MAX,
    api::{
        components::Components,
        shape::{needing, patch},
    },
};

/// Each by its name.
pub(super) fn bodies(documented: &[Documented]) -> Map<String, Value> {
    let mut components = Components::taken();
    for body in documented.iter().filter_map(|operation| operation.body.as_ref()) {
        body.shape.add_to(&mut components);
    }
    let mut all = components.collected();
    for of in RESOURCES {
        let whole = all[of.body].clone();
        all.insert(of.patch.to_owned(), example(patch(whole.clone()), of.example()));
        all.insert(of.many.to_owned(), many(&of, whole));
    }
    all
}

/// A resource with PATCH and bulk writes.
struct Resource {
    /// Its name in the plural.
    name: &'static str,
    body: &'static str,
    patch: &'static str,
    many: &'static str,
    /// Members that each item must have in addition to those that one must have.
    needed: &'static [&'static str],
}

const RESOURCES: [Resource; 3] = [
    Resource {
        name: "customers",
        body: "CustomerBody",
        patch: "CustomerPatch",
        many: "CustomersBody",
        needed: &["uid"],
    },
    Resource {
        name: "endpoints",
        body: "EndpointBody",
        patch: "EndpointPatch",
        many: "EndpointsBody",
        needed: &["uid"],
    },
    Resource {
        name: "subscriptions",
        body: "SubscriptionBody",
        patch: "SubscriptionPatch",
        many: "SubscriptionsBody",
        needed: &["endpoint_id", "uid"],
    },
];

impl Resource {
    /// A change.
    fn example(&self) -> Value {
        match self.name {
            "customers" => json!({"grants": {"topics": ["*"], "tenants": ["2"]}}),
            "endpoints" => json!({"in_flight_max": 3, "rate_limit": null}),
            _ => json!({"scope": {"level": "tenants", "tenants": ["2"]}}),
        }
    }
}

/// Many of a kind in one body.
fn many(of: &Resource, mut item: Value) -> Value {
    let mut one = item["examples"][0].clone();
    one["uid"] = "acme-1".into();
    if let Some(item) = item.as_object_mut() {
        item.remove("examples");
    }
    let mut items = list_of(needing(item, of.needed), 1, ITEMS_MAX);
    items["description"] = format!("The {}: all of them are written, or none.", of.name).into();
    example(body(&[of.name], json!({of.name: items})), json!({of.name: [one]}))
}

fn example(mut shape: Value, example: Value) -> Value {
    shape["examples"] = json!([example]);
    shape
}
