//! ● `POST /v1/subscriptions/bulk`: up to 10,000 subscriptions by the caller's own keys, all of them or none.

use std::collections::{HashMap, HashSet};

use actix_web::{HttpRequest, HttpResponse, web};

use super::{
    access::Write,
    bulk::{self, Mistakes},
    bulk_body::BulkGate,
    problem::Problem,
    quotas,
    state::{AdminState, new_id},
    subscription_body::{check_grants, warnings},
};
use crate::{
    api::{
        resource::{BulkAnswer, BulkItem},
        subscription::{SubscriptionBody, WrittenSubscription, parse},
    },
    model::{
        grants::Grants,
        id::ResourceKind,
        quotas::{Quota, Quotas},
    },
    store::{
        bulk_subscriptions::{self, BulkSubscriptionContext, SubscriptionUpsert},
        config_write::Lookup,
    },
};

/// Each item is what PUT takes, with its `uid`. What is so already stays as it is, so repeating a call is harmless.
pub(super) async fn upsert(
    access: Write,
    state: web::Data<AdminState>,
    gate: web::Data<BulkGate>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    super::request::query(&request, &[])?;
    let body = gate.read(&request, payload).await?;
    let items = body
        .work(|bytes| {
            bulk::read_all(&bulk::items(bytes, NAME)?, NAME, |object| Ok(parse(object, &["endpoint_id", "uid"])?))
        })
        .await?;
    let keys = items.iter().filter_map(|item| item.endpoint_id.clone().zip(item.uid.clone()));
    let (keys, defaults): (Vec<(String, String)>, _) = (keys.collect(), state.quotas);
    let topics: Vec<String> = items.iter().map(|item| item.topic.clone()).collect();
    let written = bulk_subscriptions::upsert(&state.pool, access.customer(), &keys, move |context| {
        decide(&defaults, &context, items)
    });
    let written = written.await??;
    let items = written.items.into_iter().zip(topics).map(|(item, topic)| {
        let warnings = warnings(&topic, state.positions.reads(&topic));
        let written = WrittenSubscription { id: item.id, endpoint_id: item.endpoint_id, warnings };
        BulkItem { uid: item.uid, effect: item.effect.into(), written }
    });
    Ok(HttpResponse::Ok().json(BulkAnswer::of(written.version, items)))
}

fn decide(
    defaults: &Quotas,
    context: &BulkSubscriptionContext,
    items: Vec<SubscriptionBody>,
) -> Result<Vec<SubscriptionUpsert>, Problem> {
    let mut mistakes = Mistakes::new(NAME);
    let none = Grants::default();
    let mut seen = HashSet::with_capacity(items.len());
    let mut upserts = Vec::with_capacity(items.len());
    let mut more: HashMap<&str, [i64; 2]> = HashMap::new();
    for (index, item) in items.into_iter().enumerate() {
        let SubscriptionBody { endpoint_id: Some(endpoint), uid: Some(uid), topic, scope } = item else { continue };
        let owner = match context.endpoint(&endpoint) {
            Lookup::Found(owner) => owner,
            Lookup::Missing => {
                mistakes.at(index, "endpoint_id", "there is no such endpoint");
                continue;
            }
            Lookup::Ambiguous => {
                mistakes.at(index, "endpoint_id", "several endpoints have this uid; give the id");
                continue;
            }
        };
        let grants = context.grants(&owner.customer_id).unwrap_or(&none);
        if let Err(problem) = check_grants(grants, &topic, &scope) {
            mistakes.of(index, problem);
        }
        if !seen.insert((owner.endpoint_id.clone(), uid.clone())) {
            mistakes.at(index, "uid", "is given twice for this endpoint");
        }
        let known = context.entries(&owner.endpoint_id, &uid);
        let [subscriptions, entries] = more.entry(&owner.customer_id).or_default();
        *subscriptions += i64::from(known.is_none());
        *entries += scope.entries() as i64 - known.unwrap_or(0);
        let scope = serde_json::to_string(&scope).expect("invariant: a scope is sets of strings");
        upserts.push(SubscriptionUpsert {
            id: new_id(ResourceKind::Subscription),
            uid,
            endpoint_id: owner.endpoint_id.clone(),
            topic,
            scope,
        });
    }
    mistakes.none_or_problem()?;
    for (customer_id, allowance) in context.allowances() {
        let [subscriptions, entries] = more.get(customer_id).copied().unwrap_or_default();
        let more = [(Quota::SubscriptionsMax, subscriptions), (Quota::SubscriptionEntriesMax, entries)];
        quotas::check(defaults, (customer_id, allowance), &more)?;
    }
    Ok(upserts)
}

const NAME: &str = "subscriptions";
