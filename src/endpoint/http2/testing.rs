//! A server of HTTP/2 in the same thread, and requests to it.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use h2::Reason;
use http::{Response, StatusCode, request::Parts};
use rustls::{
    ServerConfig,
    crypto::ring::default_provider,
    pki_types::{PrivateKeyDer, pem::PemObject as _},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    endpoint::{
        client::{ClientLimits, CoreClient},
        egress::Egress,
        request_sender::{
            RequestSender,
            testing::{limits, request},
        },
        resolver::testing::Scripted,
        tls::{HTTP2, Tls},
    },
    model::{
        outcome::Answer,
        settings::{Auth, Http2, Settings},
        tls_identity::{TlsIdentity, parse_certificates},
        url::EndpointUrl,
    },
};

/// A server at `inside.example`, and what it saw.
pub(super) struct Server {
    pub(super) port: u16,
    certificate: String,
    pub(super) seen: Rc<Seen>,
}

#[derive(Default)]
pub(super) struct Seen {
    pub(super) connections: Cell<usize>,
    pub(super) heads: RefCell<Vec<Parts>>,
    /// Ends its connections.
    pub(super) stop: Notify,
}

/// The behaviour of a server.
pub(super) struct Manner {
    pub(super) protocol: &'static [u8],
    pub(super) takes: Duration,
    /// Bytes of a body that it takes without being asked.
    pub(super) window: Option<u32>,
    pub(super) streams_max: Option<u32>,
    /// Number of its first requests that it resets, and with what reason.
    pub(super) resets: usize,
    pub(super) reason: Reason,
    /// It answers, and never reads a body nor lets go of it.
    pub(super) holds_bodies: bool,
    /// It says nothing at all.
    pub(super) is_mute: bool,
    /// Connections that it takes, ever; others are refused.
    pub(super) connections_max: usize,
}

impl Default for Manner {
    fn default() -> Self {
        Manner {
            protocol: HTTP2,
            takes: Duration::ZERO,
            window: None,
            streams_max: None,
            resets: 0,
            reason: Reason::REFUSED_STREAM,
            holds_bodies: false,
            is_mute: false,
            connections_max: usize::MAX,
        }
    }
}

impl Server {
    /// Answers with 200 after so long.
    pub(super) async fn start(protocol: &'static [u8], takes: Duration) -> Self {
        Self::behaving(Manner { protocol, takes, ..Manner::default() }).await
    }

    pub(super) async fn behaving(manner: Manner) -> Self {
        let manner = Rc::new(manner);
        let (protocol, connections_max) = (manner.protocol, manner.connections_max);
        let serve = move |stream, seen| serve(stream, Rc::clone(&manner), seen);
        Self::serving_some(protocol, connections_max, serve).await
    }

    /// Serves each connection so.
    pub(super) async fn serving<F: Future<Output = ()> + 'static>(
        protocol: &'static [u8],
        serve: impl Fn(TlsStream<TcpStream>, Rc<Seen>) -> F + 'static,
    ) -> Self {
        Self::serving_some(protocol, usize::MAX, serve).await
    }

    async fn serving_some<F: Future<Output = ()> + 'static>(
        protocol: &'static [u8],
        connections_max: usize,
        serve: impl Fn(TlsStream<TcpStream>, Rc<Seen>) -> F + 'static,
    ) -> Self {
        let (config, certificate) = certified(protocol);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let (port, seen) = (listener.local_addr().expect("bound").port(), Rc::new(Seen::default()));
        let (acceptor, accepting) = (TlsAcceptor::from(Arc::new(config)), Rc::clone(&seen));
        actix_rt::spawn(async move {
            while accepting.connections.get() < connections_max
                && let Ok((stream, _)) = listener.accept().await
            {
                let Ok(stream) = acceptor.accept(stream).await else { continue };
                accepting.connections.set(accepting.connections.get() + 1);
                let (serving, seen) = (serve(stream, Rc::clone(&accepting)), Rc::clone(&accepting));
                actix_rt::spawn(async move {
                    tokio::select! {
                        () = seen.stop.notified() => {}
                        () = serving => {}
                    }
                });
            }
        });
        Server { port, certificate, seen }
    }

    pub(super) fn sender(&self, http2: Http2, auth: Auth) -> RequestSender {
        let mut settings = self.settings("ep_1");
        (settings.auth, settings.delivery.http2) = (auth, http2);
        RequestSender::new(Arc::new(settings))
    }

    /// Sender of an endpoint's requests, each with this much time.
    pub(super) fn patient_sender(&self, endpoint: &str, timeout: Duration) -> RequestSender {
        let mut settings = self.settings(endpoint);
        (settings.delivery.request_timeout, settings.delivery.http2) = (timeout, Http2::Auto);
        RequestSender::new(Arc::new(settings))
    }

    fn settings(&self, endpoint: &str) -> Settings {
        let mut settings = Settings::unreadable(endpoint, "cus_1", 1);
        let url = format!("https://inside.example:{}/hook?a=b", self.port);
        settings.url = EndpointUrl::parse(&url).expect("a URL");
        settings.tls = TlsIdentity::parse(None, Some(&self.certificate)).expect("readable").map(Arc::new);
        settings
    }
}

async fn serve(stream: TlsStream<TcpStream>, manner: Rc<Manner>, seen: Rc<Seen>) {
    if manner.is_mute {
        return std::future::pending().await;
    }
    let mut builder = h2::server::Builder::new();
    if let Some(window) = manner.window {
        builder.initial_window_size(window);
    }
    if let Some(streams_max) = manner.streams_max {
        builder.max_concurrent_streams(streams_max);
    }
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
    while let Some(Ok((request, mut answer))) = connection.accept().await {
        let (head, body) = request.into_parts();
        seen.heads.borrow_mut().push(head);
        let (resets, manner) = (seen.heads.borrow().len() <= manner.resets, Rc::clone(&manner));
        actix_rt::spawn(async move {
            tokio::time::sleep(manner.takes).await;
            if resets {
                return answer.send_reset(manner.reason);
            }
            let head = Response::builder().status(StatusCode::OK).body(()).expect("a head");
            let _ = answer.send_response(head, true);
            if manner.holds_bodies {
                let _body = body;
                std::future::pending::<()>().await;
            }
        });
    }
}

fn certified(protocol: &[u8]) -> (ServerConfig, String) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec!["inside.example".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate").pem();
    let chain = parse_certificates(&certificate).expect("certificates");
    let private = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).expect("a key");
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("ring has them").with_no_client_auth();
    let mut config = builder.with_single_cert(chain, private).expect("its key");
    config.alpn_protocols = vec![protocol.to_vec()];
    (config, certificate)
}

pub(super) fn client(change: impl FnOnce(&mut ClientLimits)) -> Rc<CoreClient> {
    let mut limits = ClientLimits {
        keep_alive: Duration::from_secs(10),
        in_flight_max: 64,
        connections_max: 64,
        ..limits(Egress::allowing("inside.example"))
    };
    change(&mut limits);
    let names = Scripted::new(&[&["127.0.0.1"]]);
    Rc::new(CoreClient::asking(Box::new(names), limits, Tls::of_this_machine()))
}

#[track_caller]
pub(super) fn assert_taken(answer: &Answer) {
    assert!(matches!(answer, Answer::Answered { status: 200, .. }), "{answer:?}");
}

pub(super) async fn send(sender: &mut RequestSender, client: &Rc<CoreClient>, requests: usize) -> Vec<Answer> {
    let all = futures_util::future::join_all((0..requests).map(|_| sender.send(client, request())));
    all.await.into_iter().map(|sent| sent.answer).collect()
}
