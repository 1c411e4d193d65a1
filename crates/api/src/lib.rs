//! ○ Resources as the API takes and gives them and Postgres stores them: one type for each, from whose fields the limits, defaults,
//! units and descriptions of checks, documents, forms and stored rows come. No runtime, no HTTP, no log: a body is told and answered.

pub mod customer; // a customer
pub mod endpoint; // an endpoint's settings
pub mod endpoint_delivery; // … as its machine takes them
pub mod endpoint_body; // … with its address and its secrets; bodies of its commands
pub mod endpoint_auth; // authentication at an endpoint
pub mod subscription; // a subscription
pub mod api_key; // an API key
pub mod replay; // a replay
pub mod dead_letters; // dead letters that a command is about
pub mod sample; // a sample event
pub mod body; // bodies, read from JSON
pub mod check; // JSON held to its shape
pub mod errors; // mistakes, by field
pub mod text; // kinds of text with rules of their own
pub mod fields; // fields one by one, for forms and documents
pub mod shape; // types as JSON Schema
