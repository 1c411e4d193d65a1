//! ○ A request and a client for tests of what sends.

use std::{sync::Arc, time::Duration};

use crate::endpoint::{client::ClientLimits, egress::Egress, names::NameLimits, request::Request, resolver::testing};

/// Limits of a client that is quick to give up, and looks each name up whenever it is needed.
pub(in crate::endpoint) fn limits(egress: Egress) -> ClientLimits {
    let second = Duration::from_secs(1);
    ClientLimits {
        connect_timeout: second,
        keep_alive: second,
        connection_age_max: 60 * second,
        in_flight_max: 8,
        connections_max: 8,
        answer_bytes_max: 1024,
        dns_servers: Vec::new(),
        names: NameLimits { fresh_max: Duration::ZERO, ..testing::limits() },
        dns_timeout: second,
        dns_lookups_max: 8,
        tls_clients_max: 2,
        egress: Arc::new(egress),
    }
}

/// An event of two bytes.
pub(in crate::endpoint) fn request() -> Request {
    Request {
        body: "{}".into(),
        content_type: "application/json",
        webhook_id: "evt_1".to_owned(),
        webhook_timestamp: 1,
        webhook_signature: "v1,x".to_owned(),
        source: None,
        trace: None,
    }
}
