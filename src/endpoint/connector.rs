//! ● Opens connections, with `TCP_NODELAY`: a request larger than a segment must not wait for the receiver's delayed ACK.
//!
//! **Invariant:** this is the only place that opens a connection to an endpoint, and each goes to addresses that egress
//! has just allowed. They are handed to the TCP connector, which therefore asks no resolver of its own.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use actix_service::Service;
use actix_tls::connect::{
    ConnectError, ConnectInfo, Connection,
    tcp::{TcpConnector, TcpConnectorService},
};
use awc::http::Uri;
use futures_util::future::LocalBoxFuture;
use tokio::net::TcpStream;

use super::{
    egress::{Egress, Refusal},
    resolver::Resolver,
};

/// What the HTTP client connects with.
#[derive(Clone)]
pub struct GuardedConnector {
    tcp: TcpConnectorService,
    resolver: Resolver,
    egress: Arc<Egress>,
}

impl GuardedConnector {
    #[must_use]
    pub fn new(resolver: Resolver, egress: Arc<Egress>) -> Self {
        GuardedConnector { tcp: TcpConnector::default().service(), resolver, egress }
    }

    async fn connect(self, info: ConnectInfo<Uri>) -> Result<Connection<Uri, TcpStream>, ConnectError> {
        let (host, port) = (info.hostname(), info.port());
        let addresses =
            self.resolver.addresses(host, port).await.map_err(|error| ConnectError::Resolver(Box::new(error)))?;
        self.egress.check_addresses(host, &addresses).map_err(refused)?;
        let connection = self.tcp.call(info.set_addrs(addresses)).await?;
        let stream: &TcpStream = connection.io_ref();
        if let (Ok(local), Ok(peer)) = (stream.local_addr(), stream.peer_addr())
            && self.egress.is_own_api(local, peer)
        {
            return Err(refused(Refusal::OwnApi));
        }
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY refused");
        }
        Ok(connection)
    }
}

/// The way for an error of ours through the client library: the client takes it out again.
fn refused(refusal: Refusal) -> ConnectError {
    ConnectError::Resolver(Box::new(refusal))
}

impl Service<ConnectInfo<Uri>> for GuardedConnector {
    type Response = Connection<Uri, TcpStream>;
    type Error = ConnectError;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&self, task: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::<ConnectInfo<Uri>>::poll_ready(&self.tcp, task)
    }

    fn call(&self, info: ConnectInfo<Uri>) -> Self::Future {
        Box::pin(self.clone().connect(info))
    }
}
