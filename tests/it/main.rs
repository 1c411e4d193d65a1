//! Tests against a real PostgreSQL and a real Kafka. Where they are is told by the environment: `dev/services env`.

// Stories wait for the world; only the program itself is told the time.
#![allow(clippy::disallowed_methods)]
#![allow(unreachable_pub)] // no crate uses this one: the compiler finds dead code behind `pub` as well

#[path = "../harness/mod.rs"]
#[allow(dead_code, unused_imports)] // shared with the table of faults: each uses its part
mod harness; // what the stories are told with
mod stories; // the whole of Postrider as a black box

mod postgres; // a fresh database for each test
mod partition; // a partition that counts what its receipts come to
mod store; // connections, migrations, settings
mod backlog_pages; // the backlog, page by page
mod dead_letters; // written before they settle, once
mod redrive; // dead letters again
mod replays; // the parts that wait for the owner of their partition
mod api; // the REST API over a database of its own
mod admin; // the REST API
mod endpoint_writes; // endpoints and their secrets
mod examples; // the document's examples are requests
mod connections; // connections of the API that misbehave
mod bodies; // bodies that nobody wants, and large ones that somebody does
mod letter_pull; // dead letters waited for, filtered, taken by filter
mod endpoint_list; // thousands of endpoints, searched and sorted
mod attempts; // how endpoints answered
mod endpoint_failures; // endpoints that take nothing, as instances tell each other
mod counts; // … and how often, by the minute
mod matches; // who would get this event?
mod bulk; // thousands in one call
mod quotas; // how much a customer may have
mod access; // who may do what with it
mod keys; // their life
mod call_limits; // … and their rates
mod conditions; // entity tags
mod bad_input; // what is wrong is told
