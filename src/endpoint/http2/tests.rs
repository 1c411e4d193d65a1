//! Exchanges with a real server, in the same thread.

use std::time::Duration;

use http::{HeaderMap, Method, Response, StatusCode, request::Parts};
use rustls::{
    ServerConfig,
    crypto::ring::default_provider,
    pki_types::{PrivateKeyDer, pem::PemObject as _},
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::{
    endpoint::{
        client::ClientLimits,
        egress::Egress,
        names::NameLimits,
        request::Request as Outgoing,
        request_sender::RequestSender,
        resolver::testing::{self, Scripted},
        tls::{HTTP2, Tls},
    },
    model::{
        settings::{Auth, Http2, Settings},
        tls_identity::{TlsIdentity, parse_certificates},
        url::EndpointUrl,
    },
};

/// A server at `inside.example`, and what it saw.
struct Server {
    port: u16,
    certificate: String,
    seen: Rc<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: Cell<usize>,
    heads: RefCell<Vec<Parts>>,
}

impl Server {
    /// Answers with 200 after so long.
    async fn start(protocol: &[u8], takes: Duration) -> Self {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec!["inside.example".to_owned()]).expect("a name");
        let certificate = params.self_signed(&key).expect("a certificate").pem();
        let chain = parse_certificates(&certificate).expect("certificates");
        let private = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).expect("a key");
        let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_safe_default_protocol_versions().expect("ring has them").with_no_client_auth();
        let mut config = builder.with_single_cert(chain, private).expect("its key");
        config.alpn_protocols = vec![protocol.to_vec()];
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let (port, seen) = (listener.local_addr().expect("bound").port(), Rc::new(Seen::default()));
        let (acceptor, accepting) = (TlsAcceptor::from(Arc::new(config)), Rc::clone(&seen));
        actix_rt::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(stream) = acceptor.accept(stream).await else { continue };
                accepting.connections.set(accepting.connections.get() + 1);
                let seen = Rc::clone(&accepting);
                actix_rt::spawn(async move {
                    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
                    while let Some(Ok((request, mut answer))) = connection.accept().await {
                        seen.heads.borrow_mut().push(request.into_parts().0);
                        actix_rt::spawn(async move {
                            tokio::time::sleep(takes).await;
                            let head = Response::builder().status(StatusCode::OK).body(()).expect("a head");
                            let _ = answer.send_response(head, true);
                        });
                    }
                });
            }
        });
        Server { port, certificate, seen }
    }

    fn sender(&self, http2: Http2, auth: Auth) -> RequestSender {
        let mut settings = Settings::unreadable("ep_1", "cus_1", 1);
        let url = format!("https://inside.example:{}/hook?a=b", self.port);
        settings.url = EndpointUrl::parse(&url).expect("a URL");
        settings.tls = TlsIdentity::parse(None, Some(&self.certificate)).expect("readable").map(Arc::new);
        (settings.auth, settings.delivery.http2) = (auth, http2);
        RequestSender::new(Arc::new(settings))
    }
}

fn client(change: impl FnOnce(&mut ClientLimits)) -> Rc<CoreClient> {
    let second = Duration::from_secs(1);
    let mut limits = ClientLimits {
        connect_timeout: second,
        keep_alive: 10 * second,
        connection_age_max: 60 * second,
        in_flight_max: 64,
        connections_max: 64,
        answer_bytes_max: 1024,
        dns_servers: Vec::new(),
        names: NameLimits { fresh_max: Duration::ZERO, ..testing::limits() },
        dns_timeout: second,
        dns_lookups_max: 8,
        tls_clients_max: 2,
        egress: Arc::new(Egress::allowing("inside.example")),
    };
    change(&mut limits);
    let names = Scripted::new(&[&["127.0.0.1"]]);
    Rc::new(CoreClient::asking(Box::new(names), limits, Tls::of_this_machine()))
}

fn outgoing() -> Outgoing {
    Outgoing {
        body: "{}".into(),
        content_type: "application/json",
        webhook_id: "evt_1".to_owned(),
        webhook_timestamp: 1,
        webhook_signature: "v1,x".to_owned(),
        source: None,
        trace: None,
    }
}

#[track_caller]
fn assert_taken(answer: &Answer) {
    assert!(matches!(answer, Answer::Answered { status: 200, .. }), "{answer:?}");
}

async fn send(sender: &mut RequestSender, client: &Rc<CoreClient>, requests: usize) -> Vec<Answer> {
    let all = futures_util::future::join_all((0..requests).map(|_| sender.send(client, outgoing())));
    all.await.into_iter().map(|sent| sent.answer).collect()
}

#[actix_rt::test]
async fn a_request_has_the_heads_of_http2_and_nothing_of_a_connection() {
    let server = Server::start(HTTP2, Duration::ZERO).await;
    let own = [("Connection", "close"), ("X-Own", "Value"), ("TE", "gzip")];
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned().into()));
    let mut sender = server.sender(Http2::Auto, Auth::Headers(own.to_vec()));
    send(&mut sender, &client(|_| {}), 1).await.iter().for_each(assert_taken);
    let heads = server.seen.heads.borrow();
    let head = &heads[0];
    assert_eq!(head.method, Method::POST);
    assert_eq!(head.uri, format!("https://inside.example:{}/hook?a=b", server.port).as_str());
    let value = |name: &str| head.headers.get(name).map(|value| value.to_str().expect("text"));
    assert_eq!(
        (value("x-own"), value("webhook-id"), value("content-length")),
        (Some("Value"), Some("evt_1"), Some("2"))
    );
    let no_more = |headers: &HeaderMap| ["host", "connection", "te"].iter().all(|name| !headers.contains_key(*name));
    assert!(no_more(&head.headers), "{:?}", head.headers);
}

#[actix_rt::test]
async fn requests_at_the_same_time_share_a_connection_that_is_kept_for_the_next_ones() {
    let server = Server::start(HTTP2, Duration::from_millis(20)).await;
    let (client, mut sender) = (client(|_| {}), server.sender(Http2::Auto, Auth::None));
    for _ in 0..3 {
        send(&mut sender, &client, 20).await.iter().for_each(assert_taken);
        assert_eq!((client.connections().open(), client.connections().unused()), (1, 1));
    }
    // An actor that is rebuilt finds it as well.
    send(&mut server.sender(Http2::Auto, Auth::None), &client, 1).await.iter().for_each(assert_taken);
    assert_eq!(server.seen.connections.get(), 1);
    assert_eq!(client.connections().close_unused(usize::MAX), 1);
    assert_eq!(client.connections().open(), 0, "closed at once, for others that need its place");
}

#[actix_rt::test]
async fn a_connection_that_nobody_uses_for_long_is_closed() {
    let server = Server::start(HTTP2, Duration::ZERO).await;
    let client = client(|limits| limits.keep_alive = Duration::from_millis(50));
    send(&mut server.sender(Http2::Auto, Auth::None), &client, 3).await.iter().for_each(assert_taken);
    assert_eq!(client.connections().open(), 1);
    while client.connections().open() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[actix_rt::test]
async fn a_connection_that_is_too_old_takes_no_more_and_its_requests_end() {
    let server = Server::start(HTTP2, Duration::from_millis(300)).await;
    let client = client(|limits| limits.connection_age_max = Duration::from_millis(200));
    let mut sender = server.sender(Http2::Auto, Auth::None);
    let early = send(&mut sender, &client, 2);
    let late_sender = &mut server.sender(Http2::Auto, Auth::None);
    let late = async {
        tokio::time::sleep(Duration::from_millis(250)).await;
        send(late_sender, &client, 2).await
    };
    let (early, late) = futures_util::future::join(early, late).await;
    early.iter().chain(&late).for_each(assert_taken);
    assert_eq!(server.seen.connections.get(), 2);
    assert_eq!(client.connections().open(), 0, "neither is kept");
}

#[actix_rt::test]
async fn a_request_without_an_answer_in_time_takes_its_connection_out_of_use() {
    let server = Server::start(HTTP2, Duration::from_secs(30)).await;
    let (client, mut sender) = (client(|_| {}), server.sender(Http2::Auto, Auth::None));
    for connections in 1..=2 {
        assert_eq!(send(&mut sender, &client, 3).await, vec![Answer::TimedOut; 3]);
        assert_eq!((server.seen.connections.get(), client.connections().open()), (connections, 0));
    }
}

#[actix_rt::test]
async fn nobody_is_spoken_to_by_http2_who_does_not_choose_it_or_is_not_to_be() {
    // They say nothing to a request of HTTP/1.1, but it is one.
    let server = Server::start(b"http/1.1", Duration::ZERO).await;
    let client = client(|_| {});
    let answers = send(&mut server.sender(Http2::Auto, Auth::None), &client, 3).await;
    assert!(answers.iter().all(|answer| !matches!(answer, Answer::Answered { .. })), "{answers:?}");
    assert_eq!(server.seen.connections.get(), 3, "each has a connection of its own");
    let both = Server::start(HTTP2, Duration::ZERO).await;
    let answers = send(&mut both.sender(Http2::Off, Auth::None), &client, 1).await;
    assert!(matches!(answers[0], Answer::TlsFailed(_)), "it was offered HTTP/1.1 alone: {answers:?}");
}

#[actix_rt::test]
async fn those_who_wait_for_a_connection_that_fails_share_its_failure() {
    let server = Server::start(HTTP2, Duration::ZERO).await;
    let egress = Arc::new(crate::app::default_egress());
    let (client, mut sender) = (client(|limits| limits.egress = egress), server.sender(Http2::Auto, Auth::None));
    assert_eq!(send(&mut sender, &client, 20).await, vec![Answer::Blocked; 20]);
    assert_eq!(server.seen.connections.get(), 0);
}
