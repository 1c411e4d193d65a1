//! Addresses that are connected to, and those that are not.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use socket2::{Domain, Socket, Type};

use super::{
    testing::{limits, request},
    *,
};
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

pub(super) fn client(names: Scripted, egress: Egress) -> Rc<CoreClient> {
    client_of(names, egress, |_| {})
}

fn client_of(names: Scripted, egress: Egress, change: impl FnOnce(&mut ClientLimits)) -> Rc<CoreClient> {
    let mut limits = limits(egress);
    change(&mut limits);
    Rc::new(CoreClient::asking(Box::new(names), limits, Tls::of_this_machine()))
}

fn target(url: &str) -> RequestSender {
    let settings = Settings {
        url: crate::model::url::EndpointUrl::parse(url).expect(url),
        ..Settings::unreadable("ep_1", "cus_1", 1)
    };
    RequestSender::new(Arc::new(settings))
}

#[actix_rt::test]
async fn a_name_that_leads_inside_after_it_was_written_is_not_connected_to() {
    let inside = Inside::new();
    let names = Scripted::new(&[&["127.0.0.1"], &["1.1.1.1", "127.0.0.1"], &["::ffff:127.0.0.1"]]);
    let asked = Rc::clone(&names.asked);
    let client = client(names, crate::app::default_egress());
    let mut target = target(&format!("http://rebound.example:{}/", inside.port()));
    for _ in 0..3 {
        assert_eq!(target.send(&client, request()).await.answer, Answer::Blocked);
    }
    assert_eq!(asked.get(), 3, "each connection is looked at again");
    assert!(!inside.was_connected_to());
}

#[actix_rt::test]
async fn an_address_in_a_url_that_is_stored_already_is_not_connected_to() {
    let inside = Inside::new();
    let client = client(Scripted::new(&[&[]]), crate::app::default_egress());
    for host in ["127.0.0.1", "127.1", "[::1]", "[::ffff:127.0.0.1]", "localhost"] {
        let mut target = target(&format!("http://{host}:{}/", inside.port()));
        assert_eq!(target.send(&client, request()).await.answer, Answer::Blocked, "{host}");
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
    assert_ne!(target.send(&client, request()).await.answer, Answer::Blocked);
    assert!(inside.was_connected_to());
    assert_eq!(asked.get(), 1);
}

/// Answers each request of each connection with what `answers` says, and counts connections.
fn serves(answers: fn(usize) -> Vec<u8>) -> (u16, std::sync::mpsc::Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let (sender, connections) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut requests = 0;
        for connection in 0.. {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let _ = sender.send(connection);
            let mut buffer = Vec::new();
            while read_request(&mut stream, &mut buffer) {
                if stream.write_all(&answers(requests)).is_err() {
                    break;
                }
                requests += 1;
            }
        }
    });
    (port, connections)
}

fn read_request(stream: &mut std::net::TcpStream, buffer: &mut Vec<u8>) -> bool {
    buffer.clear();
    let mut byte = [0];
    while !buffer.ends_with(b"\r\n\r\n{}") {
        match stream.read(&mut byte) {
            Ok(1) => buffer.push(byte[0]),
            _ => return false,
        }
    }
    true
}

fn inside_client() -> Rc<CoreClient> {
    client(Scripted::new(&[&["127.0.0.1"]]), Egress::allowing("inside.example"))
}

/// Results of two exchanges on one connection, and the number of connections that they took.
async fn answered(answers: fn(usize) -> Vec<u8>) -> (Vec<Answer>, usize) {
    let (port, connections) = serves(answers);
    let (client, mut target) = (inside_client(), target(&format!("http://inside.example:{port}/")));
    let mut got = Vec::new();
    for _ in 0..2 {
        got.push(target.send(&client, request()).await.answer);
    }
    (got, connections.try_iter().count())
}

#[track_caller]
fn assert_delivered((got, connections): (Vec<Answer>, usize)) {
    assert!(got.iter().all(|answer| matches!(answer, Answer::Answered { status: 200, .. })), "{got:?}");
    assert_eq!(connections, 1, "the connection serves the next request too");
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[actix_rt::test]
async fn interim_answers_are_passed_over_and_the_final_one_is_taken() {
    assert_delivered(answered(|_| format!("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n{OK}").into()).await);
    let many = answered(|_| {
        let interim = ["100 Continue", "102 Processing", "103 Early Hints", "199 Odd"];
        let interim = interim.map(|status| format!("HTTP/1.1 {status}\r\n\r\n")).concat();
        format!("{interim}{interim}{OK}").into()
    });
    assert_delivered(many.await);
}

#[actix_rt::test]
async fn a_head_of_many_headers_or_folded_ones_is_an_answer() {
    let many = answered(|_| {
        let headers: String = (0..250).map(|n| format!("x-{n}: {n}\r\n")).collect();
        format!("HTTP/1.1 200 OK\r\n{headers}content-length: 2\r\n\r\nok").into()
    });
    assert_delivered(many.await);
    let folded = answered(|_| b"HTTP/1.1 200 OK\r\nx-folded: a\r\n b\r\n\tc\r\ncontent-length: 2\r\n\r\nok".to_vec());
    assert_delivered(folded.await);
}

#[actix_rt::test]
async fn an_answer_that_says_nothing_of_its_body_is_complete_with_its_head() {
    let (got, connections) = answered(|_| b"HTTP/1.1 200 OK\r\n\r\n".to_vec()).await;
    assert!(got.iter().all(|answer| matches!(answer, Answer::Answered { status: 200, .. })), "{got:?}");
    assert_eq!(connections, 2, "where it ends nobody knows, so its connection is not used again");
}

#[actix_rt::test]
async fn an_answer_that_nobody_asked_for_is_never_taken_for_the_next_requests() {
    let unasked = |_| format!("{OK}HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n").into();
    let (got, connections) = answered(unasked).await;
    assert!(got.iter().all(|answer| matches!(answer, Answer::Answered { status: 200, .. })), "{got:?}");
    assert_eq!(connections, 2, "a connection with more on it than the answer is not used again");
}

#[actix_rt::test]
async fn a_connection_of_which_the_server_says_that_it_ends_is_not_used_again() {
    let last = |_| b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok".to_vec();
    let (got, connections) = answered(last).await;
    assert!(got.iter().all(|answer| matches!(answer, Answer::Answered { status: 200, .. })), "{got:?}");
    assert_eq!(connections, 2);
}

#[actix_rt::test]
async fn a_redirect_is_shown_with_where_it_leads() {
    let (got, _) = answered(|_| {
        let head = "HTTP/1.1 301 Moved\r\nlocation: https://elsewhere.example/hook\r\ncontent-length: 5\r\n\r\n";
        format!("{head}moved").into()
    })
    .await;
    let Answer::Answered { status: 301, excerpt, .. } = &got[0] else { panic!("{got:?}") };
    assert_eq!(&**excerpt, "Location: https://elsewhere.example/hook (not followed)\nmoved");
}

#[actix_rt::test]
async fn half_an_answer_is_none() {
    let (got, _) = answered(|_| b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n\r\nHTTP".to_vec()).await;
    assert!(matches!(got[0], Answer::Answered { status: 200, .. }), "{got:?}");
    let (got, _) = answered(|_| b"HTTP/1.1 2OO Fine\r\n\r\n".to_vec()).await;
    assert!(got.iter().all(|answer| matches!(answer, Answer::Malformed(_))), "{got:?}");
}

/// Listens, and takes no connection any more: those that wait are all that may.
fn black_hole(address: SocketAddr) -> (Socket, std::net::TcpStream) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&address.into()).expect("bound");
    socket.listen(0).expect("it listens");
    (socket, std::net::TcpStream::connect(address).expect("the one that waits"))
}

#[actix_rt::test]
async fn an_address_that_does_not_answer_takes_nothing_off_the_next_one_of_its_host() {
    // With spare places for a second attempt, and without.
    for in_flight_max in [4, 8] {
        let (port, _connections) = serves(|_| OK.into());
        let _silent = black_hole(SocketAddr::from(([127, 0, 0, 2], port)));
        let names = Scripted::new(&[&["127.0.0.2", "127.0.0.1"]]);
        let client =
            client_of(names, Egress::allowing("inside.example"), |limits| limits.in_flight_max = in_flight_max);
        let mut target = target(&format!("http://inside.example:{port}/"));
        let answer = target.send(&client, request()).await.answer;
        assert!(matches!(answer, Answer::Answered { status: 200, .. }), "{in_flight_max}: {answer:?}");
        assert_eq!(client.connections().open(), 1, "the other attempt has given its place back");
    }
}

#[actix_rt::test]
async fn a_connection_ends_by_its_own_age_and_nobody_elses() {
    let (port, connections) = serves(|_| OK.into());
    let (other, other_connections) = serves(|_| OK.into());
    let names = Scripted::new(&[&["127.0.0.1"]]);
    let age_max = Duration::from_secs(2);
    let client = client_of(names, Egress::allowing("inside.example"), |limits| limits.connection_age_max = age_max);
    let mut first = target(&format!("http://inside.example:{port}/"));
    let mut second = target(&format!("http://inside.example:{other}/"));
    assert!(matches!(first.send(&client, request()).await.answer, Answer::Answered { .. }));
    tokio::time::sleep(age_max.mul_f64(0.7)).await;
    assert!(matches!(second.send(&client, request()).await.answer, Answer::Answered { .. }));
    tokio::time::sleep(age_max.mul_f64(0.35)).await;
    for target in [&mut first, &mut second] {
        assert!(matches!(target.send(&client, request()).await.answer, Answer::Answered { .. }));
    }
    assert_eq!((connections.try_iter().count(), other_connections.try_iter().count()), (2, 1));
}

#[actix_rt::test]
async fn a_connection_that_nobody_uses_is_closed_though_its_host_is_never_used_again() {
    let (port, _connections) = serves(|_| OK.into());
    let client = client_of(Scripted::new(&[&["127.0.0.1"]]), Egress::allowing("inside.example"), |limits| {
        limits.keep_alive = Duration::from_millis(50);
    });
    let mut target = target(&format!("http://inside.example:{port}/"));
    assert!(matches!(target.send(&client, request()).await.answer, Answer::Answered { .. }));
    assert_eq!(client.connections().open(), 1);
    while client.connections().open() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[actix_rt::test]
async fn waiting_for_a_permit_uses_up_nothing_of_the_endpoints_time() {
    let (port, _connections) = serves(|_| {
        std::thread::sleep(Duration::from_millis(400)); // the receiver's slowness
        OK.into()
    });
    let client = client_of(Scripted::new(&[&["127.0.0.1"]]), Egress::allowing("inside.example"), |limits| {
        limits.in_flight_max = 1;
    });
    let mut target = target(&format!("http://inside.example:{port}/"));
    // Its time-out is a second: four requests one after the other take longer.
    let all = futures_util::future::join_all((0..4).map(|_| target.send(&client, request())));
    let sent = all.await;
    assert!(sent.iter().all(|sent| matches!(sent.answer, Answer::Answered { status: 200, .. })), "{sent:?}");
    assert!(sent[3].waited > Duration::from_secs(1), "{:?}", sent[3].waited);
    assert!(sent[0].waited < Duration::from_millis(300), "{:?}", sent[0].waited);
}

#[test]
fn a_url_is_sent_as_it_was_written() {
    for (url, uri, host) in [
        ("http://hook.example", "/", "hook.example"),
        ("https://hook.example:8443/a//b?c=d%20e", "/a//b?c=d%20e", "hook.example:8443"),
        ("http://[::1]:8080//elsewhere.example/", "//elsewhere.example/", "[::1]:8080"),
        ("http://hook.example/?q={\"a\":1}", "/?q={%22a%22:1}", "hook.example"),
    ] {
        let url = crate::model::url::EndpointUrl::parse(url).expect(url);
        let way = Way::to(&url, None).expect("it can be sent to");
        assert_eq!((way.uri.to_string().as_str(), way.host.as_str()), (uri, host));
    }
}
