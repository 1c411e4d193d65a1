//! ○ A problem of RFC 9457, as it is given.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{errors::FieldError, shape::words};
use postrider_core::model::quotas::Quota;

/// An error as the caller sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Problem", example = example())]
pub struct ProblemView {
    /// The answer's status.
    #[schemars(range(min = 400, max = 599))]
    pub status: u16,
    /// The status in words.
    pub title: Cow<'static, str>,
    /// Stable: programs may decide by it.
    #[schemars(schema_with = "codes")]
    pub code: Cow<'static, str>,
    /// The cause, for people.
    pub detail: String,
    /// The fields that are wrong, up to a hundred of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// With the code quota_exceeded: the quota, and the amount that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<OverQuota>,
}

/// A quota that would be exceeded, and the amount that was asked for on top of the part that is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct OverQuota {
    /// The quota's name.
    #[schemars(schema_with = "quotas")]
    pub name: Quota,
    /// The quota.
    #[schemars(with = "u64")]
    pub limit: i64,
    /// The part of it that is used.
    #[schemars(with = "u64")]
    pub used: i64,
    /// The amount that was asked for on top.
    #[schemars(with = "u64")]
    pub asked: i64,
}

fn codes(_: &mut SchemaGenerator) -> Schema {
    words(CODES)
}

fn quotas(_: &mut SchemaGenerator) -> Schema {
    words(&Quota::ALL.map(Quota::as_str))
}

fn example() -> Value {
    json!({
        "status": 422, "title": "Unprocessable Entity", "code": "validation_failed",
        "detail": "1 field(s) are not valid: url", "errors": [{"field": "url", "message": "is missing"}],
    })
}

/// Codes of problems: all there are.
pub const CODES: &[&str] = &[
    "ambiguous_uid",
    "body_too_large",
    "endpoint_is_disabled",
    "endpoint_unreadable",
    "forbidden",
    "internal",
    "invalid_cursor",
    "invalid_header",
    "invalid_query",
    "kafka_unavailable",
    "malformed_json",
    "method_not_allowed",
    "missing_key",
    "not_a_peer",
    "not_found",
    "outside_grants",
    "precondition_failed",
    "quota_exceeded",
    "refused_by_store",
    "secrets_unreadable",
    "starting",
    "store_unavailable",
    "stored_unreadable",
    "too_busy",
    "too_many_replays",
    "too_many_requests",
    "too_many_secrets",
    "too_many_tests",
    "uid_taken",
    "unreadable_body",
    "unsupported_media_type",
    "validation_failed",
    "wrong_key",
];
