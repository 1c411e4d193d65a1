//! ○ Mistakes in a body: each with its field and what to write instead, all of them at once.

use std::fmt::Display;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A mistake in one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FieldError {
    /// The field's path: batch.events_max, or subscriptions[17].topic.
    pub field: String,
    /// The mistake, and the remedy; goes on after the field's name.
    pub message: String,
    /// The number of the item, from 0, in a body with many of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
}

impl FieldError {
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        FieldError { field: field.into(), message: message.into(), index: None }
    }
}

/// Mistakes that are named one by one; the rest is counted.
pub const ERRORS_MAX: usize = 100;

/// The mistakes of a body: how many, and the first [`ERRORS_MAX`] of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldErrors {
    pub listed: Vec<FieldError>,
    pub total: usize,
}

impl FieldErrors {
    pub fn add(&mut self, field: &str, message: impl Display) {
        self.add_at(|| field.to_owned(), message);
    }

    /// As [`FieldErrors::add`]; the field's path is written only if it is listed: a body may have a hundred thousand.
    pub fn add_at(&mut self, field: impl FnOnce() -> String, message: impl Display) {
        self.total += 1;
        if self.listed.len() < ERRORS_MAX {
            self.listed.push(FieldError::new(field(), message.to_string()));
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// True if this field has a mistake.
    #[must_use]
    pub fn name(&self, field: &str) -> bool {
        self.listed.iter().any(|error| error.field == field)
    }
}

pub const MISSING: &str = "is missing";
pub const NOT_KNOWN: &str = "is not known here";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_mistakes_are_counted_and_the_first_are_named() {
        let mut errors = FieldErrors::default();
        for place in 0..1_000 {
            errors.add(&format!("ids[{place}]"), "must be a text");
        }
        assert_eq!((errors.total, errors.listed.len()), (1_000, ERRORS_MAX));
    }
}
