//! Bodies of the API: those that nobody wants stay where they are, and large ones that somebody wants arrive.

use std::{
    io::Write as _,
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use postrider::admin::AdminOptions;
use serde_json::json;
use socket2::{Domain, Socket, Type};

use crate::{
    api::{Api, KEY, all, options},
    connections::{answer, send},
};

/// A connection whose own side holds little of what the other one does not read.
fn connect(address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_send_buffer_size(16 * 1024).expect("set");
    socket.connect(&address.into()).expect("connected");
    let stream = TcpStream::from(socket);
    let patience = Some(Duration::from_secs(20));
    stream.set_read_timeout(patience).expect("a timeout");
    stream.set_write_timeout(patience).expect("a timeout");
    stream
}

/// Bytes of a body that are taken until the other side ends the connection.
fn taken(stream: &mut TcpStream, part: &[u8]) -> usize {
    let mut taken = 0;
    while taken < FAR_TOO_MUCH {
        match stream.write(part) {
            Ok(written) => taken += written,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("it stays open"),
            Err(_) => break,
        }
    }
    taken
}

const FAR_TOO_MUCH: usize = 64 * 1024 * 1024;
/// As much as the kernel holds of a connection that nobody reads.
const HELD_MAX: usize = 2 * 1024 * 1024;

#[actix_rt::test]
async fn a_body_of_somebody_who_is_not_let_in_is_not_read() {
    let api = Api::new().await;
    let wrong = "authorization: Bearer prk_0000000000000000000000000000000000000000000000000000\r\n";
    let requests = [
        ("POST /v1/customers", ""),
        ("POST /v1/customers", wrong),
        ("POST /v1/customers/bulk", wrong),
        ("POST /peer/endpoints", ""),
        ("POST /peer/probe", "x-postrider-peer: v1,1,00\r\nx-postrider-peer-digest: 00\r\n"),
        ("GET /livez", ""),
        ("GET /metrics", ""),
        ("PUT /nowhere", ""),
    ];
    let chunk = [b"4000\r\n".to_vec(), vec![b' '; 0x4000], b"\r\n".to_vec()].concat();
    let framings = [("content-length: 67108864", vec![b' '; 0x4000]), ("transfer-encoding: chunked", chunk)];
    let address = api.address();
    let each = requests.iter().flat_map(|request| framings.iter().map(move |framing| (*request, framing.clone())));
    let tries = each.map(|((line, header), (framing, part))| {
        std::thread::spawn(move || {
            let mut stream = connect(address);
            send(&mut stream, &format!("{line} HTTP/1.1\r\nhost: x\r\n{header}{framing}\r\n\r\n"));
            (line, framing, taken(&mut stream, &part))
        })
    });
    let tries: Vec<_> = tries.collect();
    let tries = actix_rt::task::spawn_blocking(|| tries.into_iter().map(|tried| tried.join().expect("done")).collect());
    let tries: Vec<_> = tries.await.expect("done");
    for (line, framing, taken) in tries {
        assert!(taken < HELD_MAX, "{line}, {framing}: {taken} bytes were taken");
    }
}

#[actix_rt::test]
async fn a_refusal_is_heard_by_who_goes_on_sending() {
    let api = Api::new().await;
    let mut stream = connect(api.address());
    send(&mut stream, "POST /v1/customers HTTP/1.1\r\nhost: x\r\ncontent-length: 67108864\r\n\r\n");
    let mut other = stream.try_clone().expect("a second handle");
    let sender = std::thread::spawn(move || taken(&mut other, &[b' '; 0x4000]));
    let answer = answer(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("missing_key"), "{answer}");
    assert!(sender.join().expect("done") < HELD_MAX);
}

#[actix_rt::test]
async fn a_large_body_of_somebody_who_is_let_in_arrives_and_its_connection_goes_on() {
    let api = Api::with(AdminOptions { request_bytes_max: 2_000_000, ..options() }).await;
    let address = api.address();
    let customer = |uid: u32| {
        let body = json!({"uid": format!("c{uid}"), "name": "C", "grants": all()});
        format!("{body}{}", " ".repeat(1_000_000))
    };
    // Elsewhere, because connections to Postgres live on this thread.
    let sent = actix_rt::task::spawn_blocking(move || {
        let mut stream = connect(address);
        let head = format!(
            "POST /v1/customers HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json"
        );
        for uid in 0..3 {
            let body = customer(uid);
            send(&mut stream, &format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
            assert!(answer(&mut stream).starts_with("HTTP/1.1 201"), "by its length");
            let body = customer(10 + uid);
            let chunk = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
            send(&mut stream, &format!("{head}\r\ntransfer-encoding: chunked\r\n\r\n{chunk}"));
            assert!(answer(&mut stream).starts_with("HTTP/1.1 201"), "in chunks");
        }
    });
    sent.await.expect("sent");
}
