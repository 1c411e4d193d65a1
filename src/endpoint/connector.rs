//! ● Opens connections, with `TCP_NODELAY`: a request larger than a segment must not wait for the receiver's delayed ACK.
//!
//! **Invariant:** this is the only place that opens a connection to an endpoint, and each goes to addresses that egress
//! has just allowed. They are handed to the TCP connector, which therefore asks no resolver of its own.

use std::{
    net::SocketAddr,
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
    connections::{Connections, Held, lacks_handles},
    egress::{Egress, Refusal},
    resolver::Resolver,
};

/// What the HTTP client connects with.
#[derive(Clone)]
pub struct GuardedConnector {
    tcp: TcpConnectorService,
    connections: Connections,
    resolver: Resolver,
    egress: Arc<Egress>,
}

impl GuardedConnector {
    #[must_use]
    pub fn new(resolver: Resolver, egress: Arc<Egress>, connections: Connections) -> Self {
        GuardedConnector { tcp: TcpConnector::default().service(), connections, resolver, egress }
    }

    async fn connect(self, info: ConnectInfo<Uri>) -> Result<Connection<Uri, Held>, ConnectError> {
        let (host, port) = (info.hostname(), info.port());
        let addresses =
            self.resolver.addresses(host, port).await.map_err(|error| ConnectError::Resolver(Box::new(error)))?;
        self.egress.check_addresses(host, &addresses).map_err(refused)?;
        let place = self.connections.place().map_err(|error| ConnectError::Resolver(Box::new(error)))?;
        let connection = self.open(info.request().clone(), addresses).await?;
        let stream: &TcpStream = connection.io_ref();
        if let (Ok(local), Ok(peer)) = (stream.local_addr(), stream.peer_addr())
            && self.egress.is_own_api(local, peer)
        {
            return Err(refused(Refusal::OwnApi));
        }
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY refused");
        }
        let (uri, stream) = (connection.request().clone(), connection.into_parts().0);
        Ok(Connection::new(uri, place.taken_by(stream)))
    }

    /// Others may take more handles than was left for them: then ours that nobody uses go first.
    async fn open(&self, uri: Uri, addresses: Vec<SocketAddr>) -> Result<Connection<Uri, TcpStream>, ConnectError> {
        let info = || ConnectInfo::new(uri.clone()).set_addrs(addresses.iter().copied());
        match self.tcp.call(info()).await {
            Err(ConnectError::Io(error)) if lacks_handles(&error) && self.connections.close_unused(usize::MAX) > 0 => {
                self.tcp.call(info()).await
            }
            result => result,
        }
    }
}

/// The way for an error of ours through the client library: the client takes it out again.
fn refused(refusal: Refusal) -> ConnectError {
    ConnectError::Resolver(Box::new(refusal))
}

impl Service<ConnectInfo<Uri>> for GuardedConnector {
    type Response = Connection<Uri, Held>;
    type Error = ConnectError;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&self, task: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::<ConnectInfo<Uri>>::poll_ready(&self.tcp, task)
    }

    fn call(&self, info: ConnectInfo<Uri>) -> Self::Future {
        Box::pin(self.clone().connect(info))
    }
}
