//! ● A listener with a server of its own: threads, limits of connections, deadlines, and TLS where it has a certificate.

pub mod deadlines; // ○ how long a connection may take for what
mod addresses; // ○ connections by address
mod intake; // ○ how much of a connection is read
mod connection; // ● a connection, bounded
mod request; // ● a request, bounded
pub mod tls; // ● its certificate, read again when it changes

use std::{
    io::{self, Write as _},
    net::{IpAddr, SocketAddr, TcpListener},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use actix_http::{HttpService, KeepAlive};
use actix_server::ServerHandle;
use actix_service::{IntoServiceFactory as _, ServiceFactoryExt as _, fn_service, map_config};
use actix_web::{App, dev::AppConfig, middleware::from_fn, web::ServiceConfig};
use parking_lot::Mutex;
use tokio::net::{TcpSocket, TcpStream};

use self::{
    addresses::ConnectionsByAddress,
    connection::{ApiConnection, Io},
    deadlines::Deadlines,
    tls::{ServerTls, TlsFiles},
};
use super::client_address::TrustedProxies;
use crate::telemetry::names;

/// One listener.
#[derive(Clone)]
pub struct ListenerOptions {
    /// Name of its thread, and in metrics.
    pub name: &'static str,
    /// Port 0 takes any free one.
    pub bind: SocketAddr,
    pub threads: usize,
    /// Others wait to be accepted.
    pub connections_max: usize,
    /// Others of the same address are refused.
    pub address_connections_max: usize,
    /// Proxies bring the connections of many clients: they are not held to `address_connections_max`.
    pub trusted_proxies: TrustedProxies,
    pub deadlines: Deadlines,
    /// Without it connections are not encrypted.
    pub tls: Option<TlsFiles>,
}

/// A listener that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {0}: {1}; choose another `admin.bind` or `admin.internal_bind`")]
    Bind(SocketAddr, io::Error),
    #[error("the API's certificate cannot be used: {0}")]
    Certificate(String),
    #[error("a thread cannot be started: {0}")]
    Thread(io::Error),
}

/// A server that listens.
#[derive(Debug)]
pub struct ApiListener {
    address: SocketAddr,
    handle: ServerHandle,
    thread: thread::JoinHandle<io::Result<()>>,
}

impl ApiListener {
    /// Listens at once; `configure` says what is served.
    ///
    /// # Errors
    /// When the address cannot be bound, or the certificate cannot be used.
    pub fn start<F>(options: ListenerOptions, configure: F) -> Result<ApiListener, StartError>
    where
        F: Fn(&mut ServiceConfig) + Clone + Send + 'static,
    {
        let (started, answer) = mpsc::channel();
        let thread = thread::Builder::new().name(options.name.to_owned());
        let thread = thread.spawn(move || {
            actix_rt::System::new().block_on(async move {
                match serve(options, configure) {
                    Ok((address, server)) => {
                        drop(started.send(Ok((address, server.handle()))));
                        server.await
                    }
                    Err(error) => {
                        drop(started.send(Err(error)));
                        Ok(())
                    }
                }
            })
        });
        let thread = thread.map_err(StartError::Thread)?;
        let ended = |_| StartError::Thread(io::Error::other("it ended at once"));
        let (address, handle) = answer.recv().map_err(ended)??;
        Ok(ApiListener { address, handle, thread })
    }

    /// Address that it listens at.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets requests under way end, and stops.
    pub async fn stop(self) {
        self.handle.stop(true).await;
        // The thread ends right after the server.
        drop(self.thread);
    }
}

fn serve<F>(options: ListenerOptions, configure: F) -> Result<(SocketAddr, actix_server::Server), StartError>
where
    F: Fn(&mut ServiceConfig) + Clone + Send + 'static,
{
    let bind = options.bind;
    let socket = bound(bind).map_err(|error| StartError::Bind(bind, error))?;
    let address = socket.local_addr().unwrap_or(bind);
    let tls = options.tls.clone().map(ServerTls::load).transpose().map_err(StartError::Certificate)?.map(Arc::new);
    if let Some(tls) = &tls {
        actix_rt::spawn(Arc::clone(tls).follow());
    }
    let (name, deadlines, threads) = (options.name, options.deadlines, options.threads.max(1));
    let server = actix_server::Server::build()
        .workers(threads)
        .worker_max_blocking_threads(BLOCKING_THREADS_MAX)
        .max_concurrent_connections(options.connections_max.div_ceil(threads))
        .shutdown_timeout(SHUTDOWN_SECONDS_MAX)
        .disable_signals();
    let stopping = server.graceful_shutdown_signal();
    let accepting = Arc::new(Accepting::new(options, tls));
    let server = server.listen(name, socket, move || {
        let (configure, accepting, stopping) = (configure.clone(), Arc::clone(&accepting), stopping.clone());
        let app = App::new().configure(|config| configure(config)).wrap(from_fn(request::bounded));
        let app = app.into_factory().map_err(|error: actix_web::Error| error.error_response());
        let http = HttpService::build()
            .keep_alive(KeepAlive::Timeout(deadlines.keep_alive))
            .client_request_timeout(deadlines.head)
            .client_disconnect_timeout(DISCONNECT_MAX)
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .on_connect_ext(|connection: &ApiConnection, data| {
                data.insert(connection.course());
            })
            .h1(map_config(app, |()| AppConfig::default()))
            .map_err(|_| ());
        fn_service(move |stream| Arc::clone(&accepting).accept(stream)).and_then(http)
    });
    let server = server.map_err(|error| StartError::Bind(bind, error))?;
    Ok((address, server.run()))
}

/// A listening socket. Its send buffers are small: what a client does not read shall not fill the kernel's memory, and
/// progress shows soon.
fn bound(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(address)?;
    socket.listen(ACCEPT_QUEUE_MAX)?.into_std()
}

/// Decides about each connection of a listener.
struct Accepting {
    name: &'static str,
    addresses: Arc<Mutex<ConnectionsByAddress>>,
    trusted_proxies: TrustedProxies,
    deadlines: Deadlines,
    tls: Option<Arc<ServerTls>>,
}

impl Accepting {
    fn new(options: ListenerOptions, tls: Option<Arc<ServerTls>>) -> Self {
        Accepting {
            tls,
            name: options.name,
            addresses: Arc::new(Mutex::new(ConnectionsByAddress::new(
                options.connections_max,
                options.address_connections_max,
            ))),
            trusted_proxies: options.trusted_proxies,
            deadlines: options.deadlines,
        }
    }

    async fn accept(self: Arc<Self>, stream: TcpStream) -> Result<(ApiConnection, Option<SocketAddr>), ()> {
        let peer = stream.peer_addr().map_err(|_| ())?;
        let Ok(place) = self.place(peer.ip()) else {
            metrics::counter!(names::API_CONNECTIONS_REFUSED, "listener" => self.name).increment(1);
            refuse(stream);
            return Err(());
        };
        let _ = stream.set_nodelay(true);
        let io = self.handshake(stream).await?;
        Ok((ApiConnection::new(io, self.deadlines, place), Some(peer)))
    }

    async fn handshake(&self, stream: TcpStream) -> Result<Io, ()> {
        let Some(tls) = &self.tls else { return Ok(Io::Plain(stream)) };
        match tokio::time::timeout(self.deadlines.head, tls.accept(stream)).await {
            Ok(Ok(stream)) => Ok(Io::Tls(Box::new(stream))),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a client of the API does not speak TLS with us");
                Err(())
            }
            Err(_) => {
                connection::timed_out("handshake");
                Err(())
            }
        }
    }

    /// A place under the limit of the address; none is needed for a proxy.
    fn place(&self, address: IpAddr) -> Result<Option<AddressPlace>, ()> {
        if self.trusted_proxies.trusts(address) {
            return Ok(None);
        }
        if !self.addresses.lock().take(address) {
            return Err(());
        }
        Ok(Some(AddressPlace { addresses: Arc::clone(&self.addresses), address }))
    }
}

/// Says why, if that takes no time.
fn refuse(stream: TcpStream) {
    if let Ok(mut stream) = stream.into_std() {
        let _ = stream.write(REFUSAL);
    }
}

/// A connection's place among those of its address, given back when it ends.
pub struct AddressPlace {
    addresses: Arc<Mutex<ConnectionsByAddress>>,
    address: IpAddr,
}

impl Drop for AddressPlace {
    fn drop(&mut self) {
        self.addresses.lock().release(self.address);
    }
}

const REFUSAL: &[u8] =
    b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 5\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const SEND_BUFFER_BYTES: u32 = 128 * 1024;
/// Connections that the kernel has accepted and we have not.
const ACCEPT_QUEUE_MAX: u32 = 2_048;
/// Blocking threads of each thread.
const BLOCKING_THREADS_MAX: usize = 16;
const SHUTDOWN_SECONDS_MAX: u64 = 5;
/// Time for a client to close its side.
const DISCONNECT_MAX: Duration = Duration::from_secs(1);
