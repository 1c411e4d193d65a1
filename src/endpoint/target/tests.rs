//! What is connected to, and what is not.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use super::*;
use crate::endpoint::{client::ClientLimits, egress::Egress, resolver::testing::Scripted, tls::Tls};

/// Listens on loopback, where an attacker wants to get.
struct Inside(TcpListener);

impl Inside {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket of our own");
        Inside(listener)
    }

    fn port(&self) -> u16 {
        self.0.local_addr().expect("bound").port()
    }

    fn was_connected_to(&self) -> bool {
        self.0.accept().is_ok()
    }
}

fn client(names: Scripted, egress: Egress) -> Rc<CoreClient> {
    let second = Duration::from_secs(1);
    let limits = ClientLimits {
        connect_timeout: second,
        keep_alive: second,
        rebuild_after: 60 * second,
        in_flight_max: 8,
        connections_max: 8,
        answer_bytes_max: 1024,
        dns_cache: Duration::ZERO,
        dns_timeout: second,
        dns_lookups_max: 8,
        tls_clients_max: 2,
        egress: Arc::new(egress),
    };
    Rc::new(CoreClient::asking(Box::new(names), limits, Tls::of_this_machine()))
}

fn target(url: &str) -> Target {
    let settings = Settings {
        url: crate::endpoint::settings::EndpointUrl::parse(url).expect(url),
        ..Settings::unreadable("ep_1", "cus_1", 1)
    };
    Target::new(Arc::new(settings))
}

fn request() -> Request {
    Request {
        body: "{}".into(),
        content_type: "application/json",
        webhook_id: "evt_1".to_owned(),
        webhook_timestamp: 1,
        webhook_signature: "v1,x".to_owned(),
        trace: None,
    }
}

#[actix_rt::test]
async fn a_name_that_leads_inside_after_it_was_written_is_not_connected_to() {
    let inside = Inside::new();
    let names = Scripted::new(&[&["127.0.0.1"], &["1.1.1.1", "127.0.0.1"], &["::ffff:127.0.0.1"]]);
    let asked = Rc::clone(&names.asked);
    let client = client(names, Egress::by_default());
    let mut target = target(&format!("http://rebound.example:{}/", inside.port()));
    for _ in 0..3 {
        assert_eq!(target.send(&client, request()).await, Answer::Blocked);
    }
    assert_eq!(asked.get(), 3, "each connection is looked at anew");
    assert!(!inside.was_connected_to());
}

#[actix_rt::test]
async fn an_address_in_a_url_that_is_stored_already_is_not_connected_to() {
    let inside = Inside::new();
    let client = client(Scripted::new(&[&[]]), Egress::by_default());
    for host in ["127.0.0.1", "127.1", "[::1]", "[::ffff:127.0.0.1]", "localhost"] {
        let mut target = target(&format!("http://{host}:{}/", inside.port()));
        assert_eq!(target.send(&client, request()).await, Answer::Blocked, "{host}");
    }
    assert!(!inside.was_connected_to());
}

#[actix_rt::test]
async fn what_is_allowed_is_connected_to_at_the_address_that_was_checked() {
    let inside = Inside::new();
    // The second answer would be another address: it must not be asked for.
    let names = Scripted::new(&[&["127.0.0.1"], &["192.0.2.1"]]);
    let asked = Rc::clone(&names.asked);
    let client = client(names, Egress::allowing("inside.example"));
    let mut target = target(&format!("http://inside.example:{}/", inside.port()));
    // Nobody answers, but somebody listens.
    assert_ne!(target.send(&client, request()).await, Answer::Blocked);
    assert!(inside.was_connected_to());
    assert_eq!(asked.get(), 1);
}

/// Takes one connection, answers one request on it, and waits for its end.
fn answers_one(listener: TcpListener) -> std::thread::JoinHandle<usize> {
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut buffer = [0; 4096];
        let mut read = 0;
        while !buffer[..read].ends_with(b"{}") {
            read += stream.read(&mut buffer[read..]).expect("a request");
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").expect("an answer");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        stream.read(&mut buffer).expect("the connection's end")
    })
}

#[actix_rt::test]
async fn a_rebuilt_client_lets_go_of_its_connections_whoever_has_sent_on_them() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let server = answers_one(listener);
    let client = client(Scripted::new(&[&["127.0.0.1"]]), Egress::allowing("inside.example"));
    let mut target = target(&format!("http://inside.example:{port}/"));
    assert!(matches!(target.send(&client, request()).await, Answer::Answered { status: 200, .. }));
    client.rebuild(None);
    let ended = tokio::task::spawn_blocking(move || server.join().expect("the server")).await.expect("a thread");
    assert_eq!(ended, 0, "the connection was closed");
    drop(target);
}
