//! ● `POST /v1/customers/bulk`: up to 10,000 customers by the caller's own keys, all of them or none.

use std::collections::HashSet;

use actix_web::{HttpRequest, HttpResponse, web};

use super::{
    access::Administer,
    bulk::{self, Mistakes},
    bulk_body::BulkGate,
    customer_body::write,
    problem::Problem,
    state::{AdminState, new_id},
};
use crate::{
    api::{
        customer::{WrittenCustomer, parse},
        resource::{BulkAnswer, BulkItem},
    },
    model::id::ResourceKind,
    store::bulk_customers::{self, CustomerUpsert},
};

/// Each item is what PUT takes, with its `uid`.
pub(super) async fn upsert(
    _: Administer,
    state: web::Data<AdminState>,
    gate: web::Data<BulkGate>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    super::request::query(&request, &[])?;
    let body = gate.read(&request, payload).await?;
    let items = body.work(items).await?;
    let uids: Vec<String> = items.iter().map(|item| item.uid.clone()).collect();
    let written = bulk_customers::upsert(&state.pool, items).await?;
    let items = written.items.into_iter().zip(uids);
    let items =
        items.map(|((id, effect), uid)| BulkItem { uid, effect: effect.into(), written: WrittenCustomer { id } });
    Ok(HttpResponse::Ok().json(BulkAnswer::of(written.version, items)))
}

fn items(bytes: &[u8]) -> Result<Vec<CustomerUpsert>, Problem> {
    let items = bulk::read_all(&bulk::items(bytes, NAME)?, NAME, |object| Ok(parse(object, &["uid"])?))?;
    let (mut mistakes, mut seen) = (Mistakes::new(NAME), HashSet::with_capacity(items.len()));
    let mut upserts = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let Some(uid) = item.uid.clone() else { continue };
        if !seen.insert(uid.clone()) {
            mistakes.at(index, "uid", "is given twice");
        }
        upserts.push(CustomerUpsert { id: new_id(ResourceKind::Customer), uid, with: write(item) });
    }
    mistakes.none_or_problem().map(|()| upserts)
}

const NAME: &str = "customers";
