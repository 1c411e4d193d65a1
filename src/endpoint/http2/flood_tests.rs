//! Servers that send much that nobody asked for, in frames of their own making.

use std::{rc::Rc, time::Duration};

use tokio::{
    io::{self, AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use super::{
    fault_tests::{LONG, assert_fallen_back},
    testing::*,
};
use crate::{endpoint::tls::HTTP2, model::outcome::Answer};

/// Frames of which there is no end, after some others.
#[derive(Clone)]
struct Flood {
    first: Vec<u8>,
    then: Vec<u8>,
}

/// RFC 9113, section 4.1.
pub(super) fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("a small one");
    [&[0, 0, length, kind, flags, 0, 0, 0, stream][..], payload].concat()
}

impl Flood {
    fn of(then: Vec<u8>) -> Self {
        Flood { first: Vec::new(), then }
    }
}

/// Reads up to the first request's head.
pub(super) async fn read_first_head(reading: &mut (impl io::AsyncRead + Unpin)) -> io::Result<()> {
    reading.read_exact(&mut [0; PREFACE.len()]).await?;
    let mut head = [0; 9];
    while head[3] != HEADERS {
        reading.read_exact(&mut head).await?;
        let length = u64::from(u32::from_be_bytes([0, head[0], head[1], head[2]]));
        io::copy(&mut (&mut *reading).take(length), &mut io::sink()).await?;
    }
    Ok(())
}

/// Begins with its first request, and reads whatever comes.
async fn flood(stream: TlsStream<TcpStream>, flood: Rc<Flood>) -> io::Result<()> {
    let (mut reading, mut writing) = io::split(stream);
    writing.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
    read_first_head(&mut reading).await?;
    writing.write_all(&flood.first).await?;
    let many = flood.then.repeat(16_384 / flood.then.len());
    let flooding = async {
        loop {
            writing.write_all(&many).await?;
        }
    };
    let mut nowhere = io::sink();
    tokio::select! {
        ended = flooding => ended,
        read = io::copy(&mut reading, &mut nowhere) => read.map(drop),
    }
}

/// The request ends long before its time, and its endpoint's next one goes by HTTP/1.1.
async fn assert_is_ended(name: &str, of: Flood) {
    let of = Rc::new(of);
    let server = Server::serving(HTTP2, move |stream, _| {
        let flooding = flood(stream, Rc::clone(&of));
        async { drop(flooding.await) }
    });
    let (server, client) = (server.await, client(|_| {}));
    let mut sender = server.patient_sender("ep_1", Duration::from_secs(5));
    let answers = send(&mut sender, &client, 1).await;
    assert_ne!(answers, [Answer::TimedOut], "{name}");
    assert_fallen_back(&send(&mut server.patient_sender("ep_1", LONG), &client, 1).await);
    assert_eq!((client.connections().open(), server.seen.connections.get()), (0, 1), "{name}");
}

#[actix_rt::test]
async fn pings_without_end_are_ended() {
    assert_is_ended("PING", Flood::of(frame(PING, 0, 0, &[0; 8]))).await;
    assert_is_ended("answers to PINGs that nobody sent", Flood::of(frame(PING, ACK, 0, &[0; 8]))).await;
}

#[actix_rt::test]
async fn settings_and_windows_without_end_are_ended() {
    assert_is_ended("SETTINGS", Flood::of(frame(SETTINGS, 0, 0, &[]))).await;
    assert_is_ended("WINDOW_UPDATE", Flood::of(frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]))).await;
    assert_is_ended("WINDOW_UPDATE of a stream", Flood::of(frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]))).await;
}

#[actix_rt::test]
async fn frames_without_meaning_are_ended() {
    assert_is_ended("PRIORITY", Flood::of(frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1]))).await;
    assert_is_ended("of no known kind", Flood::of(frame(0xfe, 0, 0, &[0; 8]))).await;
}

#[actix_rt::test]
async fn heads_without_end_are_ended() {
    assert_is_ended("interim answers", Flood::of(frame(HEADERS, END_HEADERS, 1, INTERIM))).await;
    let first = frame(HEADERS, 0, 1, OK);
    assert_is_ended("CONTINUATION", Flood { first, then: frame(CONTINUATION, 0, 1, &[]) }).await;
}

#[actix_rt::test]
async fn bodies_of_nothing_without_end_are_ended() {
    let first = frame(HEADERS, END_HEADERS, 1, OK);
    assert_is_ended("DATA", Flood { first, then: frame(DATA, 0, 1, &[]) }).await;
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
pub(super) const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const ACK: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

/// `:status` 100 and 200, in HPACK.
const INTERIM: &[u8] = &[8, 3, b'1', b'0', b'0'];
pub(super) const OK: &[u8] = &[0x88];
