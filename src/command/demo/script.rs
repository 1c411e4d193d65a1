//! ○ The sample events: what the shops of twelve tenants would send.

use rand::Rng;
use serde_json::{Value, json};

use super::fixtures::{INVOICES, ORDERS, SHIPMENTS};

/// An event to produce.
pub(super) struct Sample {
    pub topic: &'static str,
    pub kind: &'static str,
    pub tenant: String,
    pub department: String,
    pub body: Value,
}

/// The n-th event of a run; `at_us` is when, by the demo's own clock, so that the receipt tells the latency.
pub(super) fn sample(run: &str, number: u64, at_us: u64, entropy: &mut impl Rng) -> Sample {
    let tenant = entropy.random_range(1..=12u32).to_string();
    let department = (entropy.random_range(1..=4u32) * 100).to_string();
    let (topic, kind) = match entropy.random_range(0..10u32) {
        0..5 => (ORDERS, "order.created"),
        5..8 => (SHIPMENTS, "shipment.sent"),
        _ => (INVOICES, "invoice.issued"),
    };
    let cents = entropy.random_range(100..100_000u32);
    let mut body = json!({
        "demo": { "run": run, "number": number, "at_us": at_us },
        "reference": format!("{:08x}", entropy.random::<u32>()),
        "amount": { "value": format!("{}.{:02}", cents / 100, cents % 100), "currency": "EUR" },
        "lines": entropy.random_range(1..=9u32),
        "note": "a sample event; nothing was bought",
    });
    if topic == INVOICES {
        body["tenant"] = json!({ "id": tenant });
        body["department"] = json!(department);
        body["type"] = json!(kind);
    }
    Sample { topic, kind, tenant, department, body }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::SmallRng};

    use super::*;

    #[test]
    fn an_invoice_says_in_its_payload_whose_it_is() {
        let mut entropy = SmallRng::seed_from_u64(1);
        let samples: Vec<Sample> = (0..100).map(|number| sample("run", number, 0, &mut entropy)).collect();
        let invoice = samples.iter().find(|sample| sample.topic == INVOICES).unwrap();
        assert_eq!(invoice.body["tenant"]["id"], invoice.tenant.as_str());
        assert_eq!(invoice.body["department"], invoice.department.as_str());
    }
}
