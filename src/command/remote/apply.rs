//! ● Many at once, from a file. Each is written under its own uid, so repeating it changes nothing.

mod file_errors; // ○ what is wrong, before anything is written

use std::{collections::BTreeSet, path::PathBuf};

use clap::Args;
use serde_json::{Map, Value, json};

use self::file_errors::{File, KnownCustomer, KnownItems};
use super::{CommandFailure, Session, match_event::text_of, parsed, progress, show, show_list, table::Column};
use crate::api::customer::CustomerView;

#[derive(Debug, Args)]
pub(in crate::command) struct ApplyArguments {
    /// JSON: {"customers": […], "endpoints": […], "subscriptions": […]}; "-" reads standard input
    #[arg(long, short, value_name = "FILE")]
    file: PathBuf,
}

/// In the order in which they need each other.
const SECTIONS: [&str; 3] = ["customers", "endpoints", "subscriptions"];

pub(super) async fn run(session: &Session, arguments: &ApplyArguments) -> Result<(), CommandFailure> {
    let file: Value = read(&arguments.file)?;
    let known = file.as_object().filter(|file| file.keys().all(|name| SECTIONS.contains(&name.as_str())));
    let Some(sections) = known else {
        return Err(CommandFailure::Usage(format!("the file must be an object with any of {}", SECTIONS.join(", "))));
    };
    check(session, sections).await?;
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
pub(super) async fn section(session: &Session, file: &PathBuf, name: &'static str) -> Result<(), CommandFailure> {
    let mut items = read(file)?;
    if let Some(own) = items.get_mut(name) {
        items = own.take();
    }
    let (done, ended) = write(session, items, name).await;
    report(session, done.as_slice());
    ended
}

fn read(file: &PathBuf) -> Result<Value, CommandFailure> {
    serde_json::from_str(&text_of(file)?)
        .map_err(|error| CommandFailure::Usage(format!("{}: is not JSON: {error}", file.display())))
}

/// Results for the items of a kind.
struct Done {
    name: &'static str,
    counts: [u64; 3],
    items: Vec<Value>,
}

/// Writes a kind's items, and says what was written also where it ended before its end; `None`: nothing was.
async fn write(session: &Session, items: Value, name: &'static str) -> (Option<Done>, Result<(), CommandFailure>) {
    let items = match items {
        Value::Array(items) => items,
        one @ Value::Object(_) => vec![one],
        _ => return (None, Err(CommandFailure::Usage(format!("{name} must be a list")))),
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

/// Says all mistakes before anything is written, grants included.
async fn check(session: &Session, sections: &Map<String, Value>) -> Result<(), CommandFailure> {
    let file = File::new(sections);
    let mut known = KnownItems::default();
    for name in file.endpoints_elsewhere().into_iter().take(LOOK_UPS_MAX) {
        if let Some(found) = look_up(session, "endpoints", &name).await? {
            known.endpoints.insert(name, found.and_then(|endpoint| Some(endpoint["customer_id"].as_str()?.to_owned())));
        }
    }
    for name in file.customers_elsewhere(&known).into_iter().take(LOOK_UPS_MAX) {
        if let Some(found) = look_up(session, "customers", &name).await? {
            match found.as_ref().map(parsed) {
                None => {
                    known.customers.insert(name, None);
                }
                Some(Ok(CustomerView { uid, grants, .. })) => {
                    known.customers.insert(name, Some(KnownCustomer { uid, grants }));
                }
                Some(Err(_)) => {} // of a newer version: the API knows it better
            }
        }
    }
    let mut wrong = file.mistakes(&known);
    if wrong.is_empty() {
        return Ok(());
    }
    let more = wrong.len().saturating_sub(WRONG_MAX);
    wrong.truncate(WRONG_MAX);
    let more = if more > 0 { format!("\n  … and {more} more") } else { String::new() };
    Err(CommandFailure::Failed(format!("nothing was written:\n  {}{more}", wrong.join("\n  "))))
}

/// Looks up the item of this name: `Some(None)` is nothing; `None` is what this key cannot be told, which the API will
/// say of each item.
async fn look_up(session: &Session, kind: &str, name: &str) -> Result<Option<Option<Value>>, CommandFailure> {
    match session.get(&[kind, name], &[]).await {
        Ok(found) => Ok(Some(Some(found))),
        Err(CommandFailure::Refused(problem)) if problem.code == "not_found" => Ok(Some(None)),
        Err(CommandFailure::Refused(_)) => Ok(None),
        Err(failure) => Err(failure),
    }
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

/// Mistakes that are named.
const WRONG_MAX: usize = 20;
/// Names that are looked up before anything is written; of what goes beyond it the API says what is wrong.
const LOOK_UPS_MAX: usize = 200;
const PART_ITEMS_MAX: usize = 10_000;
/// Well below admin.bulk_bytes_max.
const PART_BYTES_MAX: usize = 24 << 20;
const SECRETS: [Column; 3] = [("ID", "/id"), ("UID", "/uid"), ("SECRET", "/secret")];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_file_is_written_in_parts_that_the_api_takes() {
        let many = vec![json!(1); PART_ITEMS_MAX + 1];
        assert_eq!(parts(many).iter().map(Vec::len).collect::<Vec<_>>(), [PART_ITEMS_MAX, 1]);
        let large = vec![json!("x".repeat(PART_BYTES_MAX / 2)); 3];
        assert_eq!(parts(large).len(), 3);
        assert!(parts(Vec::new()).is_empty());
    }
}
