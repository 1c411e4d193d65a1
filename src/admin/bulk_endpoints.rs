//! ● `POST /v1/endpoints/bulk`: up to 10,000 endpoints by the caller's own keys, all of them or none.

use std::collections::HashSet;

use actix_web::{HttpRequest, HttpResponse, web};

use super::{
    access::{Access, Write},
    bulk::{self, Mistakes},
    bulk_body::BulkGate,
    endpoint_body::{CheckedEndpoint, EndpointRules, parse},
    endpoints::{Made, replaced},
    problem::Problem,
    quotas,
    state::AdminState,
};
use crate::{
    api::{
        check::Object,
        endpoint_view::WrittenEndpoint,
        resource::{BulkAnswer, BulkItem},
    },
    model::quotas::Quota,
    store::{
        bulk_endpoints::{self, BulkEndpointContext, EndpointUpsert},
        config_write::WriteEffect,
    },
};

/// Each item is what PUT takes, with its `uid` and its customer. A new endpoint's signing secret is in the answer, and
/// only there.
pub(super) async fn upsert(
    access: Write,
    state: web::Data<AdminState>,
    gate: web::Data<BulkGate>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    super::request::query(&request, &[])?;
    let body = gate.read(&request, payload).await?;
    let (rules, who) = (state.rules.clone(), access.clone());
    let items = body
        .work(move |bytes| bulk::read_all(&bulk::items(bytes, NAME)?, NAME, |object| item(object, &rules, &who)))
        .await?;
    let keys: Vec<(String, String)> = items.iter().filter_map(key).map(|(c, u)| (c.to_owned(), u.to_owned())).collect();
    let deciding = state.get_ref().clone();
    let uids: Vec<String> = keys.iter().map(|(_, uid)| uid.clone()).collect();
    let written =
        bulk_endpoints::upsert(&state.pool, &keys, move |context| decide(&deciding, context, &items)).await??;
    let items = written.items.into_iter().zip(uids).zip(written.beside).map(|(((id, effect), uid), secret)| {
        let secret = secret.filter(|_| effect == WriteEffect::Created);
        BulkItem { uid, effect: effect.into(), written: WrittenEndpoint { id, secret } }
    });
    Ok(HttpResponse::Ok().json(BulkAnswer::of(written.version, items)))
}

/// One item: both of its keys are needed, said together with whatever else is wrong. A customer's key has its customer.
fn item(object: &Object, rules: &EndpointRules, access: &Access) -> Result<CheckedEndpoint, Problem> {
    let needed: &[&str] = if access.customer().is_some() { &["uid"] } else { &["customer_id", "uid"] };
    let body = parse(object, rules, needed)?;
    let customer = access.scoped_customer(body.customer.as_deref()).map(ToOwned::to_owned);
    Ok(CheckedEndpoint { customer, ..body })
}

/// An item's customer and key.
fn key(item: &CheckedEndpoint) -> Option<(&str, &str)> {
    item.customer.as_deref().zip(item.uid.as_deref())
}

/// Decides about each item, and makes the secrets of new ones.
fn decide(
    state: &AdminState,
    context: &BulkEndpointContext,
    items: &[CheckedEndpoint],
) -> Result<(Vec<EndpointUpsert>, Vec<Option<String>>), Problem> {
    let mut mistakes = Mistakes::new(NAME);
    let mut seen = HashSet::with_capacity(items.len());
    let (mut upserts, mut secrets) = (Vec::with_capacity(items.len()), Vec::with_capacity(items.len()));
    for (index, item) in items.iter().enumerate() {
        let Some((customer, uid)) = key(item) else { continue };
        let Some(customer_id) = context.customer(customer) else {
            mistakes.at(index, "customer_id", "there is no such customer");
            continue;
        };
        if !seen.insert((customer_id, uid)) {
            mistakes.at(index, "uid", "is given twice for this customer");
            continue;
        }
        let Some(current) = context.endpoint(customer_id, uid) else {
            let made = Made::new(state, item);
            upserts.push(EndpointUpsert::new(made.id.clone(), uid.to_owned(), made.write(customer_id, item)));
            secrets.push(Some(made.secret));
            continue;
        };
        match replaced(state, current, item) {
            Ok(with) => upserts.push(EndpointUpsert::of(current, uid.to_owned(), with)),
            Err(problem) => mistakes.of(index, problem),
        }
        secrets.push(None);
    }
    mistakes.none_or_problem()?;
    for (customer_id, allowance) in context.allowances() {
        let more = upserts.iter().filter(|upsert| upsert.creates_for(customer_id)).count() as i64;
        quotas::check(&state.quotas, (customer_id, allowance), &[(Quota::EndpointsMax, more)])?;
    }
    Ok((upserts, secrets))
}

const NAME: &str = "endpoints";
