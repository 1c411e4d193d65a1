//! ● The HTTP client of a core: permits, names and connections, each shared fairly between its endpoints.

use std::{net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use super::{
    connection::EndpointConnection,
    connections::{Connections, without_spare},
    connector::{Connector, WantedConnection},
    delivery::Permits,
    egress::Egress,
    http_exchange::ExchangeFailure,
    name_server::{Dns, NameServer},
    names::NameLimits,
    resolver::Resolver,
    shares::{CoreShares, Unit},
    tls::{Offer, Tls},
};
use crate::{clock, telemetry::handles::ShareMetrics};

/// The operator's limits, from `[http]`.
#[derive(Debug, Clone)]
pub struct ClientLimits {
    pub connect_timeout: Duration,
    pub keep_alive: Duration,
    /// A connection is closed at this age, or up to a quarter earlier.
    pub connection_age_max: Duration,
    /// Requests under way at once on this core; never more than `connections_max`.
    pub in_flight_max: usize,
    /// Connections of this core, those kept for later included.
    pub connections_max: usize,
    pub answer_bytes_max: usize,
    /// Asked for names in place of those of this machine, where there are some.
    pub dns_servers: Vec<SocketAddr>,
    pub names: NameLimits,
    pub dns_timeout: Duration,
    pub dns_lookups_max: usize,
    /// TLS identities with sessions of their own, on this core.
    pub tls_clients_max: usize,
    pub egress: Arc<Egress>,
}

/// The HTTP client of one core.
pub struct CoreClient {
    permits: CoreShares,
    connector: Connector,
    answer_bytes_max: usize,
}

impl CoreClient {
    #[must_use]
    pub fn new(limits: ClientLimits, tls: Arc<Tls>) -> Self {
        let server = Dns::new(limits.dns_servers.clone(), limits.dns_timeout);
        Self::asking(Box::new(server), limits, tls)
    }

    /// With a name server of one's own.
    pub(super) fn asking(server: Box<dyn NameServer>, limits: ClientLimits, tls: Arc<Tls>) -> Self {
        // A request uses one connection at a time, so whoever has a permit finds a place for it. What is left is spare.
        let permits = limits.in_flight_max.min(without_spare(limits.connections_max));
        let spare_max = limits.connections_max - permits;
        CoreClient {
            permits: CoreShares::new(permits, ShareMetrics::of_requests()),
            answer_bytes_max: limits.answer_bytes_max,
            connector: Connector {
                connections: Connections::with_spare(limits.connections_max, spare_max, limits.keep_alive),
                resolver: Resolver::new(server, limits.names, limits.dns_timeout, limits.dns_lookups_max),
                egress: limits.egress,
                timeout: limits.connect_timeout,
                age_max: limits.connection_age_max,
                tls,
                identities: Connector::identities(limits.tls_clients_max),
                protocols: Rc::default(),
            },
        }
    }

    /// One of the requests that may be under way at once, if the customer and its endpoint may have one now.
    #[must_use]
    pub fn try_permit(&self, customer: &Arc<str>, endpoint: &Arc<str>) -> Option<Unit> {
        self.permits.try_unit(customer, endpoint)
    }

    /// Number of requests that the customer and its endpoint could begin now.
    #[must_use]
    pub fn permits(&self, customer: &Arc<str>, endpoint: &Arc<str>, max: usize) -> Permits {
        let (free, has_share) = self.permits.obtainable(customer, endpoint, max);
        Permits { free, has_share, ends_turn: false }
    }

    /// The same, as soon as their shares allow it.
    pub async fn permit(&self, customer: &Arc<str>, endpoint: &Arc<str>) -> Unit {
        self.permits.unit(customer, endpoint).await
    }

    /// A connection that was kept, and whether it was; or a new one.
    ///
    /// # Errors
    /// When there is none to be had.
    pub async fn connection(&self, wanted: &WantedConnection<'_>) -> Result<EndpointConnection, ExchangeFailure> {
        match self.connector.connections.take(wanted.destination, clock::now()) {
            Some(kept) => Ok(kept),
            None => self.connector.connect(wanted, Offer::Http1).await,
        }
    }

    #[must_use]
    pub fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Open connections.
    #[must_use]
    pub fn connections(&self) -> &Connections {
        &self.connector.connections
    }

    #[must_use]
    pub fn egress(&self) -> &Egress {
        &self.connector.egress
    }

    #[must_use]
    pub fn answer_bytes_max(&self) -> usize {
        self.answer_bytes_max
    }
}
