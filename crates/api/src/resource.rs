//! ○ Resources in answers: the members that many of them have, pages of lists, and the answer to many writes in one call.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{examples::Example, text::Moment};

/// A resource as it is given.
pub trait ApiResource: Serialize {
    /// The form of its id.
    type Id: JsonSchema;

    fn id(&self) -> &str;

    /// Its version, where it has one: then its entity tag is `"v"` and this number.
    fn version(&self) -> Option<i64> {
        None
    }
}

/// Times at which a resource was made and changed last, and its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RowStamps {
    /// Grows with every write; its ETag is "v" and this number.
    #[schemars(with = "u64")]
    pub version: i64,
    /// The time of its first write.
    #[schemars(with = "Moment")]
    pub created_at: Timestamp,
    /// The time of its newest write.
    #[schemars(with = "Moment")]
    pub updated_at: Timestamp,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, bound = "T: JsonSchema + Serialize + Example", example = ListPage::<T>::example())]
pub struct ListPage<T> {
    /// The rows of this page.
    pub data: Vec<T>,
    /// Goes on with the next page; null at the end.
    pub next_cursor: Option<String>,
}

impl<T> ListPage<T> {
    /// The only page of a list that has nothing.
    #[must_use]
    pub fn empty() -> ListPage<T> {
        ListPage { data: Vec::new(), next_cursor: None }
    }
}

/// A row of a list, which may be one that this version cannot read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum ListRow<T: ApiResource> {
    Readable(T),
    Unreadable {
        /// Its id.
        #[schemars(with = "T::Id")]
        id: String,
        /// It was written by a newer version, or by hand.
        #[schemars(extend("const" = true))]
        unreadable: bool,
    },
}

impl<T: ApiResource> ListRow<T> {
    #[must_use]
    pub fn unreadable(id: String) -> Self {
        ListRow::Unreadable { id, unreadable: true }
    }

    pub fn readable(&mut self) -> Option<&mut T> {
        match self {
            ListRow::Readable(row) => Some(row),
            ListRow::Unreadable { .. } => None,
        }
    }
}

/// The answer to many writes in one call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, bound = "T: JsonSchema + Serialize + Example", example = BulkAnswer::<T>::example())]
pub struct BulkAnswer<T> {
    /// In effect on an instance once it has this version.
    #[schemars(with = "u64")]
    pub version: i64,
    /// Items that are new.
    pub created: u64,
    /// Items that were changed.
    pub updated: u64,
    /// Items that were so already.
    pub unchanged: u64,
    /// Each item, in the order of the body.
    pub data: Vec<BulkItem<T>>,
}

/// An item that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct BulkItem<T> {
    /// Your own key.
    pub uid: String,
    /// The outcome of the write.
    pub effect: BulkEffect,
    #[serde(flatten)]
    pub written: T,
}

/// The outcome of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum BulkEffect {
    /// It is new.
    Created,
    /// It was changed.
    Updated,
    /// It was so already.
    Unchanged,
}

impl<T> BulkAnswer<T> {
    #[must_use]
    pub fn of(version: i64, items: impl Iterator<Item = BulkItem<T>>) -> Self {
        let data: Vec<BulkItem<T>> = items.collect();
        let count = |effect| data.iter().filter(|item| item.effect == effect).count() as u64;
        let (created, updated) = (count(BulkEffect::Created), count(BulkEffect::Updated));
        BulkAnswer { version, created, updated, unchanged: count(BulkEffect::Unchanged), data }
    }
}

/// A time that is counted in milliseconds since 1970, as it is answered; `None` beyond the calendar.
#[must_use]
pub fn time(ms: i64) -> Option<Timestamp> {
    Timestamp::from_millisecond(ms).ok()
}
