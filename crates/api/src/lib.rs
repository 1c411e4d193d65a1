//! ○ Resources as the API takes and gives them and Postgres stores them: one type for each form, from whose fields the limits, defaults,
//! units and descriptions of checks, documents, forms and stored rows come. No runtime, no HTTP, no log: a body is told and answered.

pub mod customer; // a customer
pub mod endpoint; // an endpoint's settings
pub mod endpoint_delivery; // … as its machine takes them
pub mod endpoint_body; // … with its address and its secrets; bodies of its commands
pub mod endpoint_auth; // authentication at an endpoint
pub mod endpoint_view; // an endpoint, as it is given
pub mod endpoint_health; // … and how it does
pub mod endpoint_backlog; // … and what waits for it
pub mod attempt; // attempts at it
pub mod subscription; // a subscription
pub mod api_key; // an API key
pub mod replay; // a replay
pub mod dead_letters; // dead letters that a command is about
pub mod dead_letter_view; // … and as they are given
pub mod sample; // a sample event
pub mod match_view; // … and who would get it
pub mod overview; // all instances at one glance
pub mod actor; // actors
pub mod instance; // instances, and how they answer probes
pub mod resource; // the members that many of them have when they are given; pages, bulk answers
pub mod examples; // an example of each answer
pub mod body; // bodies, read from JSON
pub mod check; // JSON held to its shape
pub mod errors; // mistakes, by field
pub mod problem; // problems, as they are given
pub mod text; // kinds of text with rules of their own
pub mod fields; // fields one by one, for forms and documents
pub mod shape; // types as JSON Schema
pub mod components; // … for the document of the API
pub mod named_shape; // a name in the document of the API, and the type behind it
