//! Connections of the API that misbehave: each ends at its deadline, and takes nothing from others.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use postrider::admin::{
    AdminOptions,
    listener::{deadlines::Deadlines, tls::TlsFiles},
};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use serde_json::json;
use socket2::{Domain, Socket, Type};

use crate::{
    api::{Api, all, listener, options},
    harness::{
        eventually,
        tls::{Authority, Certified},
    },
};

/// Longer than any deadline of [`crate::api::listener`].
const PATIENCE: Duration = Duration::from_secs(20);

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// From another address of the loopback.
pub fn connect_from(source: &str, address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&format!("{source}:0").parse::<SocketAddr>().expect("an address").into()).expect("bound");
    socket.connect(&address.into()).expect("connected");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

pub fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).expect("sent");
}

/// The head of an answer, and its body by its length.
pub fn answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        answer.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&answer).to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    if stream.read_exact(&mut body).is_ok() {
        answer.extend(body);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Everything until the other side ends it; panics when it does not.
#[track_caller]
fn until_closed(stream: &mut TcpStream) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return all,
            Ok(read) => all.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return all,
            Err(error) => panic!("it stays open: {error}"),
        }
    }
}

/// Whatever is held open stays so for the length of a test, however busy the machine is.
async fn patient_api() -> Api {
    let mut options = options();
    let minute = Duration::from_secs(60);
    options.public.deadlines = Deadlines { head: minute, keep_alive: minute, body: minute, progress: minute };
    Api::with(options).await
}

const LIVEZ: &str = "GET /livez HTTP/1.1\r\nhost: x\r\n\r\n";

#[actix_rt::test]
async fn half_a_head_is_closed_at_its_deadline_also_after_an_answer() {
    let api = Api::new().await;
    let mut stream = connect(api.address());
    send(&mut stream, LIVEZ);
    assert!(answer(&mut stream).starts_with("HTTP/1.1 200"));
    send(&mut stream, "G");
    assert_eq!(until_closed(&mut stream), b"");
    let mut first = connect(api.address());
    send(&mut first, "GET /livez HTTP/1.1\r\n");
    let said = until_closed(&mut first);
    assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&said));
}

#[actix_rt::test]
async fn a_body_that_does_not_go_on_is_answered_408() {
    let api = Api::new().await;
    let key = crate::api::KEY;
    for path in ["/v1/customers", "/v1/customers/bulk"] {
        let mut stream = connect(api.address());
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n\
             content-length: 500\r\n\r\n{{"
        );
        send(&mut stream, &head);
        let answer = answer(&mut stream);
        assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("unreadable_body"), "{path}: {answer}");
        until_closed(&mut stream);
    }
}

#[actix_rt::test]
async fn an_answer_that_nobody_reads_ends_and_one_that_is_read_slowly_does_not() {
    let mut options = options();
    // Long beside the pauses that a busy machine makes.
    options.public.deadlines.progress = Duration::from_secs(5);
    let api = Api::with(options).await;
    let (mut idle, mut slow) = (connect(api.address()), connect(api.address()));
    let many = "GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(300);
    // All of these would be tens of megabytes.
    idle.set_write_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    let _ = idle.write_all(many.as_bytes());
    send(&mut slow, &"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(40));
    let mut whole = 0;
    // Longer than the deadline.
    for _ in 0..40 {
        std::thread::sleep(Duration::from_millis(200));
        whole += usize::from(answer(&mut slow).ends_with('}'));
    }
    assert_eq!(whole, 40, "a slow reader gets everything");
    let got = until_closed(&mut idle);
    assert!(got.windows(13).filter(|part| part == b"HTTP/1.1 200 ").count() < 300, "{} bytes", got.len());
}

#[actix_rt::test]
async fn one_address_cannot_take_the_places_of_others_nor_silence_the_probes() {
    let api = patient_api().await;
    let mut stuck = Vec::new();
    let mut refused = 0;
    for _ in 0..200 {
        let mut stream = connect_from("127.0.0.9", api.address());
        send(&mut stream, LIVEZ);
        match answer(&mut stream) {
            text if text.starts_with("HTTP/1.1 200") => {
                send(&mut stream, "G");
                stuck.push(stream);
            }
            // What was sent after the refusal may reset it.
            text => {
                assert!(text.is_empty() || text.starts_with("HTTP/1.1 429"), "{text}");
                refused += 1;
            }
        }
    }
    assert!(stuck.len() >= 100 && refused >= 60, "{} places, {refused} refused", stuck.len());
    for address in [api.address(), api.internal_address()] {
        let mut other = connect(address);
        send(&mut other, LIVEZ);
        assert!(answer(&mut other).starts_with("HTTP/1.1 200"), "{address}");
    }
    drop(stuck);
    eventually("its places are free again", || {
        let mut again = connect_from("127.0.0.9", api.address());
        send(&mut again, LIVEZ);
        answer(&mut again).starts_with("HTTP/1.1 200").then_some(())
    });
}

#[actix_rt::test]
async fn the_internal_listener_answers_probes_and_nothing_else() {
    let api = Api::new().await;
    let status = |path: &str| {
        let mut stream = connect(api.internal_address());
        send(&mut stream, &format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n"));
        answer(&mut stream)[9..12].to_owned()
    };
    let statuses = ["/livez", "/readyz", "/metrics", "/peer/overview", "/v1/endpoints", "/"].map(status);
    assert_eq!(statuses, ["200", "200", "200", "401", "404", "404"]);
}

#[actix_rt::test]
async fn what_is_no_peer_is_refused_before_its_body_is_read() {
    let api = Api::new().await;
    let mut stream = connect(api.internal_address());
    let head = "POST /peer/endpoints HTTP/1.1\r\nhost: x\r\nx-postrider-peer: v1,1,00\r\nx-postrider-peer-digest: 00\r\n\
                content-length: 1048576\r\n\r\n";
    send(&mut stream, head);
    let answer = answer(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("not_a_peer"), "{answer}");
}

/// What `/livez` answers over TLS to somebody who trusts this authority alone; nothing when it is not to be trusted.
fn livez_over_tls(address: SocketAddr, authority: &Authority) -> Option<String> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.certificate.as_bytes()).expect("a certificate");
    roots.add(root).expect("a root");
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "127.0.0.1".try_into().expect("a name");
    let client = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut stream = StreamOwned::new(client, connect(address));
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    Some(answer)
}

fn store(folder: &Path, certified: &Certified) {
    fs::write(folder.join("key.pem"), &certified.key).expect("written");
    fs::write(folder.join("certificate.pem"), &certified.certificate).expect("written");
}

#[actix_rt::test]
async fn certificates_are_read_again_when_they_change_and_bad_ones_are_not_used() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("admin-tls-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let (old, new) = (Authority::new(), Authority::new());
    store(&folder, &old.issue("127.0.0.1"));
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    let tls = Some(TlsFiles { certificate, key, reload: Duration::from_millis(100) });
    let mut public = listener("admin");
    public.tls = tls;
    let api = Api::with(AdminOptions { public, ..options() }).await;
    let is_served = |authority: &Authority| {
        livez_over_tls(api.address(), authority).is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
    };
    assert!(is_served(&old) && !is_served(&new));

    // A certificate without its key.
    fs::write(folder.join("certificate.pem"), new.issue("127.0.0.1").certificate).expect("written");
    std::thread::sleep(Duration::from_millis(500));
    assert!(is_served(&old), "the old pair stays");

    store(&folder, &new.issue("127.0.0.1"));
    eventually("the new certificate is used", || is_served(&new).then_some(()));
    let mut plain = connect(api.address());
    send(&mut plain, LIVEZ);
    let said = until_closed(&mut plain);
    assert!(!said.starts_with(b"HTTP"), "without TLS nobody is answered");
    fs::remove_dir_all(folder).expect("removed");
}

/// The head of a bulk call whose body never comes.
fn unfinished_bulk(api: &Api, key: &str) -> TcpStream {
    let mut stream = connect(api.address());
    let head = format!(
        "POST /v1/customers/bulk HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n\
         content-length: 500\r\n\r\n{{"
    );
    send(&mut stream, &head);
    stream
}

#[actix_rt::test]
async fn unfinished_bulk_calls_of_one_key_leave_a_place_for_another() {
    let api = patient_api().await;
    let (greedy, _) = api.api_key("admin", None).await;
    let held: Vec<TcpStream> = (0..6).map(|_| unfinished_bulk(&api, &greedy)).collect();
    actix_rt::time::sleep(Duration::from_millis(500)).await;
    // Whoever had to wait for those would wait for a minute.
    let customers = json!({"customers": [{"uid": "one", "name": "One", "grants": all()}]});
    let (status, answer) = api.call("POST", "/v1/customers/bulk", Some(customers)).await;
    assert_eq!(status, 200, "{answer}");
    drop(held);
}

#[actix_rt::test]
async fn long_polls_of_one_key_leave_places_for_another() {
    let api = patient_api().await;
    api.customer("acme", all()).await;
    api.endpoint("acme", "hook").await;
    let (greedy, _) = api.api_key("operator", None).await;
    let path = "/v1/endpoints/hook/dead-letters?wait=30s";
    let mut polls: Vec<TcpStream> =
        (0..100).map(|number| connect_from(&format!("127.0.1.{number}"), api.address())).collect();
    let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {greedy}\r\n\r\n");
    polls.iter_mut().for_each(|poll| send(poll, &head));
    // Of 128 places it gets a half, and is told so beyond. Elsewhere, because connections to Postgres live on this thread.
    let polls = actix_rt::task::spawn_blocking(move || {
        polls.iter().for_each(|poll| poll.set_nonblocking(true).expect("set"));
        let is_refused = |poll: &&TcpStream| {
            let mut status = [0; 12];
            poll.peek(&mut status).is_ok_and(|read| &status[..read] == b"HTTP/1.1 429")
        };
        let refused = || polls.iter().filter(is_refused).count();
        eventually("those beyond the share are told so", || (refused() >= 36).then_some(()));
        polls
    });
    let _polls = polls.await.expect("refused");
    let begun = Instant::now();
    let (status, page) = api.call("GET", "/v1/endpoints/hook/dead-letters?wait=1s", None).await;
    assert_eq!((status.as_u16(), &page["data"]), (200, &json!([])));
    assert!(begun.elapsed() >= Duration::from_millis(900), "it was answered at once: {:?}", begun.elapsed());
}
