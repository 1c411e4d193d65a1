//! ● Many at once, from a file. Each is written under its own uid, so repeating it changes nothing.

use std::{collections::BTreeSet, path::PathBuf};

use clap::Args;
use serde_json::{Map, Value, json};

use crate::admin::{customer_body, subscription_body};

use super::{Failure, Session, progress, show, show_list, table::Column, who_gets::text_of};

#[derive(Debug, Args)]
pub(in crate::command) struct Arguments {
    /// JSON: {"customers": […], "endpoints": […], "subscriptions": […]}; "-" reads standard input
    #[arg(long, short, value_name = "FILE")]
    file: PathBuf,
}

/// In the order in which they need each other.
const SECTIONS: [&str; 3] = ["customers", "endpoints", "subscriptions"];

pub(super) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Failure> {
    let file: Value = parsed(&arguments.file)?;
    let known = file.as_object().filter(|file| file.keys().all(|name| SECTIONS.contains(&name.as_str())));
    let Some(sections) = known else {
        return Err(Failure::Usage(format!("the file must be an object with any of {}", SECTIONS.join(", "))));
    };
    beyond_grants(sections)?;
    let mut done = Vec::new();
    for name in SECTIONS {
        let Some(items) = sections.get(name) else { continue };
        let (one, ended) = write(session, items.clone(), name).await;
        done.extend(one);
        if let Err(failure) = ended {
            // What was written stays written, and a secret is shown once.
            report(session, &done);
            return Err(failure);
        }
    }
    report(session, &done);
    Ok(())
}

/// A file with items of one kind: a list, one item, or as in a file of all.
pub(super) async fn section(session: &Session, file: &PathBuf, name: &'static str) -> Result<(), Failure> {
    let mut items = parsed(file)?;
    if let Some(own) = items.get_mut(name) {
        items = own.take();
    }
    let (done, ended) = write(session, items, name).await;
    report(session, done.as_slice());
    ended
}

fn parsed(file: &PathBuf) -> Result<Value, Failure> {
    serde_json::from_str(&text_of(file)?)
        .map_err(|error| Failure::Usage(format!("{}: is not JSON: {error}", file.display())))
}

/// What became of a kind's items.
struct Done {
    name: &'static str,
    counts: [u64; 3],
    items: Vec<Value>,
}

/// Writes a kind's items, and says what was written also where it ended before its end; `None`: nothing was.
async fn write(session: &Session, items: Value, name: &'static str) -> (Option<Done>, Result<(), Failure>) {
    let items = match items {
        Value::Array(items) => items,
        one @ Value::Object(_) => vec![one],
        _ => return (None, Err(Failure::Usage(format!("{name} must be a list")))),
    };
    let bar = progress::bar(items.len() as u64, name);
    let mut done = Done { name, counts: [0; 3], items: Vec::new() };
    let parts = parts(items);
    let many = parts.len() > 1;
    for part in parts {
        let count = part.len() as u64;
        let answer = session.post(&[name, "bulk"], &json!({ name: part })).await;
        let mut answer = match answer {
            Ok(answer) => answer,
            Err(failure) => {
                if many {
                    session.note(&format!(
                        "{} of the {name} were written before this; the file is written in parts",
                        bar.position()
                    ));
                }
                bar.finish_and_clear();
                return ((bar.position() > 0).then_some(done), Err(failure));
            }
        };
        for (sum, word) in done.counts.iter_mut().zip(["created", "updated", "unchanged"]) {
            *sum += answer[word].as_u64().unwrap_or(0);
        }
        if let Some(data) = answer["data"].as_array_mut() {
            done.items.append(data);
        }
        bar.inc(count);
    }
    bar.finish_and_clear();
    (Some(done), Ok(()))
}

/// What the file itself shows to be wrong is said before anything is written: subscriptions beyond the grants of their
/// customers, where both and the endpoint between them stand in it. The rest is for the API to say.
fn beyond_grants(sections: &Map<String, Value>) -> Result<(), Failure> {
    let items = |name: &str| sections.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let named = |name: &'static str, uid: Option<&str>| {
        items(name).iter().find(|item| item["uid"].as_str() == uid).filter(|_| uid.is_some())
    };
    let mut wrong = Vec::new();
    for (place, item) in items("subscriptions").iter().enumerate() {
        let customer = named("endpoints", item["endpoint_id"].as_str())
            .and_then(|endpoint| named("customers", endpoint["customer_id"].as_str()));
        let grants = customer.and_then(Value::as_object).and_then(|customer| customer_body::parse(customer).ok());
        let subscription = item.as_object().and_then(|item| subscription_body::parse(item).ok());
        let (Some(customer), Some(subscription)) = (grants, subscription) else { continue };
        for beyond in customer.write.grants.beyond(&subscription.topic, &subscription.scope) {
            wrong.push(format!("\n  subscriptions[{place}] {beyond}"));
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let more = if wrong.len() > WRONG_MAX { "\n  …" } else { "" };
    wrong.truncate(WRONG_MAX);
    Err(Failure::Failed(format!(
        "nothing was written: subscriptions ask for more than is granted{}{more}",
        wrong.concat()
    )))
}

/// As many in one call as the API takes: each part is written whole or not at all.
fn parts(items: Vec<Value>) -> Vec<Vec<Value>> {
    let mut parts: Vec<Vec<Value>> = Vec::new();
    let mut bytes = usize::MAX;
    for item in items {
        let size = item.to_string().len() + 1;
        match parts.last_mut() {
            Some(part) if part.len() < PART_ITEMS_MAX && bytes + size <= PART_BYTES_MAX => {
                part.push(item);
                bytes += size;
            }
            _ => {
                parts.push(vec![item]);
                bytes = size;
            }
        }
    }
    parts
}

/// New endpoints' secrets are shown, for they are never shown again.
fn report(session: &Session, done: &[Done]) {
    if session.json {
        let sections = done.iter().map(|one| {
            let [created, updated, unchanged] = one.counts;
            let counted = json!({ "created": created, "updated": updated, "unchanged": unchanged, "data": one.items });
            (one.name.to_owned(), counted)
        });
        return show(session, &Value::Object(sections.collect()));
    }
    for one in done {
        let secret: Vec<Value> = one.items.iter().filter(|item| item["secret"].is_string()).cloned().collect();
        if !secret.is_empty() {
            show_list(session, &secret, &SECRETS);
        }
        let warnings = one.items.iter().flat_map(|item| item["warnings"].as_array().into_iter().flatten());
        let warnings: BTreeSet<&str> = warnings.filter_map(Value::as_str).collect();
        warnings.iter().for_each(|warning| session.note(&format!("warning: {warning}")));
        let [created, updated, unchanged] = one.counts;
        session.say(&format!("{}: {created} created, {updated} updated, {unchanged} unchanged", one.name));
    }
}

/// So many are named.
const WRONG_MAX: usize = 20;
const PART_ITEMS_MAX: usize = 10_000;
/// Well below admin.bulk_bytes_max.
const PART_BYTES_MAX: usize = 24 << 20;
const SECRETS: [Column; 3] = [("ID", "/id"), ("UID", "/uid"), ("SECRET", "/secret")];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_file_shows_to_be_beyond_grants_is_refused_before_anything_is_written() {
        let file = |tenant: &str| {
            json!({
                "customers": [{"uid": "acme", "name": "Acme", "grants": {"topics": ["orders"], "tenants": ["2"]}}],
                "endpoints": [{"uid": "erp", "customer_id": "acme", "url": "https://acme.example/"}],
                "subscriptions": [
                    {"uid": "s", "endpoint_id": "erp", "topic": "orders", "scope": {"level": "tenants", "tenants": [tenant]}},
                    {"uid": "t", "endpoint_id": "elsewhere", "topic": "bills", "scope": {"level": "topic"}},
                ],
            })
        };
        let checked = |tenant: &str| beyond_grants(file(tenant).as_object().expect("an object"));
        assert!(checked("2").is_ok(), "what the file does not show is for the API to say");
        let Err(Failure::Failed(message)) = checked("7") else { panic!("refused") };
        assert!(message.contains("subscriptions[0] tenant `7`") && !message.contains("[1]"), "{message}");
    }

    #[test]
    fn a_large_file_is_written_in_parts_that_the_api_takes() {
        let many = vec![json!(1); PART_ITEMS_MAX + 1];
        assert_eq!(parts(many).iter().map(Vec::len).collect::<Vec<_>>(), [PART_ITEMS_MAX, 1]);
        let large = vec![json!("x".repeat(PART_BYTES_MAX / 2)); 3];
        assert_eq!(parts(large).len(), 3);
        assert!(parts(Vec::new()).is_empty());
    }
}
