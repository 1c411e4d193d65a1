//! ○ The ground floor: values that every room speaks of. Nothing here knows a room.

pub mod id; // prefixed ids that sort by time
pub mod hex; // bytes in hexadecimal digits
pub mod event; // a decoded record
pub mod record; // a Kafka record in one allocation
pub mod receipt; // each (event, endpoint) settles exactly once
pub mod source; // the source of an event, which is told what became of it
pub mod parking; // an event on its way into the backlog
pub mod disposition; // retried, parked, or given up
pub mod settings; // an endpoint's settings
pub mod url; // an endpoint's URL
pub mod oauth; // client credentials
pub mod tls_identity; // a client certificate, and authorities of the customer's own
pub mod signature; // Standard Webhooks
pub mod topic; // names of topics
pub mod scope; // the part of a topic that a subscription covers
pub mod grants; // the topics and tenants of a customer
pub mod quotas; // limits of a customer
pub mod outcome; // the meaning of an answer
pub mod attempt; // the record of an attempt
pub mod hour_count; // deliveries and failures of an hour
pub mod gap; // events that a suspended endpoint has not got
pub mod pause; // reasons to pause a partition
pub mod trace_context; // `traceparent`: which trace, and which of its spans
