//! Resources as the API takes and gives them and Postgres stores them: one type for each, from whose fields the limits, defaults,
//! units and descriptions of checks, documents and stored rows come.

pub mod endpoint; // an endpoint's settings
pub mod shape; // types as JSON Schema
