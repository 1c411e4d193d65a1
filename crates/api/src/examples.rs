//! ○ An example of each answer, for the document of the API: a value of its type, so that it cannot lack a member or have one
//! too many.

mod of_customers; // customers, their keys and their subscriptions
mod of_endpoints; // endpoints, their numbers and attempts at them
mod of_letters; // dead letters
mod of_instances; // all instances at one glance, and actors

use jiff::{Timestamp, ToSpan as _};

use super::resource::{ApiResource, BulkAnswer, BulkEffect, BulkItem, ListPage, ListRow, RowStamps};
use postrider_core::model::id::{self, ResourceKind};

/// A type of answers that has an example.
pub trait Example {
    fn example() -> Self;
}

impl<T: Example> Example for ListPage<T> {
    fn example() -> Self {
        ListPage { data: vec![T::example()], next_cursor: None }
    }
}

impl<T: Example + ApiResource> Example for ListRow<T> {
    fn example() -> Self {
        ListRow::Readable(T::example())
    }
}

impl<T: Example> Example for BulkAnswer<T> {
    fn example() -> Self {
        let item = BulkItem { uid: "acme-1".to_owned(), effect: BulkEffect::Created, written: T::example() };
        BulkAnswer::of(VERSION, [item].into_iter())
    }
}

impl Example for RowStamps {
    fn example() -> Self {
        RowStamps { version: VERSION, created_at: minutes_later(0), updated_at: minutes_later(5) }
    }
}

/// The version of what is shown.
const VERSION: i64 = 12;
/// 2026-01-31T12:00:00Z
const NOON_SECONDS: i64 = 1_769_860_800;

/// The time at which so many minutes have passed in the examples.
fn minutes_later(minutes: i64) -> Timestamp {
    Timestamp::constant(NOON_SECONDS, 0) + minutes.minutes()
}

/// The id of the resource of this kind that all examples are about.
fn id_of(kind: ResourceKind) -> String {
    id::new(kind, NOON_SECONDS * 1_000, *b"an example")
}

/// The id of a request with the event of the examples.
const WEBHOOK_ID: &str = "msg_2kz3m5x0c2v9q4t7w1y6ab8dfh";
const TOPIC: &str = "orders";

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}
