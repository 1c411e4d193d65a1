//! ● Opens connections, with `TCP_NODELAY`: a request larger than a segment must not wait for the receiver's delayed ACK.
//!
//! **Invariant:** this is the only place that opens a connection to an endpoint, and each goes to addresses that egress
//! has just allowed.

use std::{cell::RefCell, io, net::SocketAddr, num::NonZeroUsize, rc::Rc, sync::Arc, time::Duration};

use lru::LruCache;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{
    connection::{EndpointConnection, Stream},
    connections::{Connections, Destination, is_local, lacks_handles},
    deadline::{TimeUsed, within},
    egress::{Egress, Refusal},
    happy_eyeballs::{AttemptTimes, connect_first},
    http_exchange::ExchangeFailure,
    idle,
    names::NameFailure,
    protocols::Protocols,
    resolver::Resolver,
    tls::{Offer, Tls, TlsConfigs, in_words},
    waits::Waits,
};
use crate::{
    clock,
    model::{
        outcome::Answer,
        tls_identity::{Fingerprint, TlsIdentity},
    },
};

/// Opens the connections of one core.
pub struct Connector {
    pub connections: Connections,
    pub resolver: Resolver,
    pub egress: Arc<Egress>,
    /// Looking a name up and connecting, together; a handshake may take as long again.
    pub timeout: Duration,
    /// No connection is older.
    pub age_max: Duration,
    pub tls: Arc<Tls>,
    /// Each with sessions of its own.
    pub identities: RefCell<LruCache<Fingerprint, TlsConfigs>>,
    /// Hosts that HTTP/1.1 is spoken with, though they are offered HTTP/2.
    pub protocols: Rc<RefCell<Protocols<Rc<Destination>>>>,
}

/// A wish for a connection: the holder, and the destination.
pub struct WantedConnection<'a> {
    pub customer: &'a Arc<str>,
    pub destination: &'a Rc<Destination>,
    /// TLS identity for an https URL; `None` is how everybody is.
    pub identity: Option<&'a TlsIdentity>,
    pub is_tls: bool,
    pub waits: &'a Waits,
}

impl Connector {
    /// Room for so many identities.
    #[must_use]
    pub fn identities(identities_max: usize) -> RefCell<LruCache<Fingerprint, TlsConfigs>> {
        RefCell::new(LruCache::new(NonZeroUsize::new(identities_max).unwrap_or(NonZeroUsize::MIN)))
    }

    /// # Errors
    /// When there is no connection: what that says of the endpoint, or of us.
    pub async fn connect(
        &self,
        wanted: &WantedConnection<'_>,
        offer: Offer,
    ) -> Result<EndpointConnection, ExchangeFailure> {
        let opening = self.open(wanted);
        let (stream, place) = match within(self.timeout, wanted.waits, opening).await {
            Ok(opened) => opened?,
            Err(_) => return Err(Answer::ConnectFailed("connecting timed out".into()).into()),
        };
        let stream = match wanted.is_tls {
            false => Stream::Plain(stream),
            true => self.handshake(wanted, offer, stream).await?,
        };
        let ends_at = idle::ends_at(clock::now(), self.age_max, rand::random());
        Ok(EndpointConnection::new(stream, place, ends_at))
    }

    async fn open(
        &self,
        wanted: &WantedConnection<'_>,
    ) -> Result<(TcpStream, super::connections::ConnectionPermit), ExchangeFailure> {
        let (host, port) = (&*wanted.destination.host, wanted.destination.port);
        let time = TimeUsed::begin(wanted.waits);
        let addresses = self.resolver.addresses(wanted.customer, host, port, wanted.waits).await;
        let addresses = addresses.map_err(|failure| unresolved(&failure))?;
        self.egress.check_addresses(host, &addresses).map_err(ExchangeFailure::Refused)?;
        let place = self.connections.place().map_err(|error| Answer::LocalFault(error.to_string().into()))?;
        let left = self.timeout.saturating_sub(time.so_far(wanted.waits, clock::now()));
        let stream = self.tcp(wanted.customer, &addresses, left).await.map_err(|error| unconnected(&error))?;
        if let (Ok(local), Ok(peer)) = (stream.local_addr(), stream.peer_addr())
            && self.egress.is_own_api(local, peer)
        {
            return Err(ExchangeFailure::Refused(Refusal::OwnApi));
        }
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        Ok((stream, place))
    }

    /// Others may take more handles than was left for them: then ours that nobody uses go first.
    async fn tcp(&self, customer: &Arc<str>, addresses: &[SocketAddr], left: Duration) -> io::Result<TcpStream> {
        let until = clock::now() + left;
        let spare = || self.connections.spare_place(customer);
        let connect = || {
            let times = AttemptTimes::new(until.saturating_duration_since(clock::now()), addresses.len());
            connect_first(addresses, times, TcpStream::connect, spare)
        };
        match connect().await {
            Err(error) if lacks_handles(&error) && self.connections.close_unused(usize::MAX) > 0 => connect().await,
            result => result,
        }
    }

    async fn handshake(
        &self,
        wanted: &WantedConnection<'_>,
        offer: Offer,
        stream: TcpStream,
    ) -> Result<Stream, ExchangeFailure> {
        let config = self.tls_of(wanted.identity, offer).map_err(Answer::LocalFault)?;
        let name = ServerName::try_from(wanted.destination.host.to_string())
            .map_err(|error| Answer::TlsFailed(error.to_string().into()))?;
        let handshake = TlsConnector::from(config).connect(name, stream);
        match tokio::time::timeout(self.timeout, handshake).await {
            Ok(Ok(stream)) => Ok(Stream::Tls(Box::new(stream))),
            Ok(Err(error)) => Err(handshake_failed(&error)),
            Err(_) => Err(Answer::ConnectFailed("the TLS handshake timed out".into()).into()),
        }
    }

    fn tls_of(&self, identity: Option<&TlsIdentity>, offer: Offer) -> Result<Arc<ClientConfig>, Box<str>> {
        let Some(identity) = identity else { return Ok(Arc::clone(self.tls.without_identity().offering(offer))) };
        let mut identities = self.identities.borrow_mut();
        let made = identities.try_get_or_insert(*identity.fingerprint(), || self.tls.config(identity));
        let configs = made.map_err(|error| format!("no TLS for this endpoint: {error}"))?;
        Ok(Arc::clone(configs.offering(offer)))
    }
}

fn unresolved(failure: &NameFailure) -> ExchangeFailure {
    let text = failure.to_string().into();
    ExchangeFailure::Answer(match failure {
        NameFailure::Local(_) => Answer::LocalFault(text),
        _ => Answer::ResolveFailed(text),
    })
}

fn unconnected(error: &io::Error) -> ExchangeFailure {
    let text = error.to_string().into();
    ExchangeFailure::Answer(match error {
        error if is_local(error) => Answer::LocalFault(text),
        error if error.kind() == io::ErrorKind::ConnectionRefused => Answer::Refused(text),
        _ => Answer::ConnectFailed(text),
    })
}

fn handshake_failed(error: &io::Error) -> ExchangeFailure {
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return Answer::TlsFailed(in_words(tls).into()).into();
    }
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return Answer::TlsFailed("the receiver closed the connection in the TLS handshake".into()).into();
    }
    unconnected(error)
}
