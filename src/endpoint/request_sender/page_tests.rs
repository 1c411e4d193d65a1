//! Examples of `docs/what-arrives.md` go over the wire as the page shows them, byte by byte.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::Arc,
    thread,
    time::Instant,
};

use super::{
    super::{
        delivery::testing::{self, TestSource},
        egress::Egress,
        request,
        resolver::testing::Scripted,
    },
    tests::client,
    *,
};
use crate::model::{
    event::{ByteSpan, Event, Field, Fields, Record},
    settings::{BatchFormat, Format, Mode},
    source::EventSource,
    url::EndpointUrl,
};

const PAGE: &str = include_str!("../../../docs/what-arrives.md");
/// 2026-01-31T12:00:00.250Z
const AT_MS: i64 = 1_769_860_800_250;
/// Time at which it is sent.
const SENT_MS: i64 = 1_769_860_801_000;

/// An event of `orders`, partition 3, of tenant 2.
fn event(offset: i64, id: Option<&str>, value: Option<&[u8]>) -> Arc<Event> {
    let key = b"customer-7";
    let (key_len, value_len) = (key.len() as u32, value.map_or(0, <[u8]>::len) as u32);
    let record = Record {
        offset,
        timestamp_ms: AT_MS,
        key: Some(ByteSpan { start: 0, len: key_len }),
        value: value.map(|_| ByteSpan { start: key_len, len: value_len }),
        headers: ByteSpan { start: key_len + value_len, len: 0 },
        bytes: [key, value.unwrap_or_default()].concat().into(),
    };
    let text = |text: &str| Field::Owned(text.into());
    let fields = Fields {
        tenant: text("2"),
        department: text("100"),
        kind: text("order.created"),
        id: id.map_or(Field::Absent, text),
        occurred_ms: None,
    };
    Arc::new(Event::new(TestSource::new() as Arc<dyn EventSource>, record, fields, Instant::now()))
}

/// The request of these events as its receiver reads it from the connection.
async fn on_the_wire(mode: Mode, format: Format, batch_format: BatchFormat, events: &[Arc<Event>]) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let receiving = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let (mut got, mut buffer) = (Vec::new(), [0; 4096]);
        while !is_whole(&got) {
            match stream.read(&mut buffer).expect("bytes") {
                0 => break,
                count => got.extend_from_slice(&buffer[..count]),
            }
        }
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").expect("an answer");
        got
    });
    let mut settings = testing::stream();
    settings.url = EndpointUrl::parse(&format!("http://erp.acme.example:{port}/hook")).expect("a URL");
    (settings.delivery.mode, settings.delivery.format, settings.delivery.batch_format) = (mode, format, batch_format);
    let request = request::build(events.iter(), &settings, SENT_MS);
    let client = client(Scripted::new(&[&["127.0.0.1"]]), Egress::allowing("erp.acme.example"));
    let sent = RequestSender::new(Arc::new(settings)).send(&client, request).await;
    assert!(matches!(sent.answer, Answer::Answered { status: 204, .. }), "{:?}", sent.answer);
    receiving.join().expect("it received")
}

fn is_whole(got: &[u8]) -> bool {
    let Some(head) = got.windows(4).position(|end| end == b"\r\n\r\n") else { return false };
    let text = String::from_utf8_lossy(&got[..head]).to_lowercase();
    let length = text.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
    got.len() >= head + 4 + length.and_then(|length| length.parse::<usize>().ok()).unwrap_or(0)
}

/// As the page has it: lines, the usual port, and a version that does not grow old.
fn shown(got: &[u8]) -> String {
    let head = got.windows(4).position(|end| end == b"\r\n\r\n").expect("a head");
    let mut text = String::new();
    for line in String::from_utf8_lossy(&got[..head]).split("\r\n") {
        let line = match line.split_once("host: erp.acme.example") {
            Some(_) => "host: erp.acme.example",
            None => line,
        };
        text.push_str(&line.replace(env!("CARGO_PKG_VERSION"), "1.2.3"));
        text.push('\n');
    }
    let body = &got[head + 4..];
    let body =
        std::str::from_utf8(body).map_or_else(|_| body.escape_ascii().to_string(), |text| text.trim_end().to_owned());
    let blank = if body.is_empty() { "" } else { "\n" };
    format!("```http\n{text}{blank}{body}\n```\n").replace("\n\n```", "\n```")
}

type Sample<'a> = (&'a str, Mode, Format, BatchFormat, &'a [Arc<Event>]);

#[actix_rt::test]
async fn the_page_of_what_arrives_shows_what_arrives() {
    let order = event(4711, Some("order.17"), Some(b"{\"order\": 17, \"total\": \"12.50\"}"));
    let (text, bytes) = (event(4712, None, Some(b"order 17 paid")), event(4713, None, Some(b"\x00\x01\xfe")));
    let deleted = event(4714, None, None);
    let all = [order.clone(), text.clone(), bytes.clone(), deleted.clone()];
    let batch = Mode::Batch { events_max: 100, bytes_max: 1 << 20, wait: testing::secs(1) };
    let (envelope, raw) = (Format::Envelope, Format::Raw);
    let (array, lines) = (BatchFormat::JsonArray, BatchFormat::Ndjson);
    let samples: [Sample<'_>; 11] = [
        ("envelope", Mode::Stream, envelope, array, &all[..1]),
        ("envelope of text", Mode::Stream, envelope, array, &all[1..2]),
        ("envelope of bytes", Mode::Stream, envelope, array, &all[2..3]),
        ("envelope of a tombstone", Mode::Stream, envelope, array, &all[3..]),
        ("raw", Mode::Stream, raw, array, &all[..1]),
        ("raw bytes", Mode::Stream, raw, array, &all[2..3]),
        ("raw tombstone", Mode::Stream, raw, array, &all[3..]),
        ("batch", batch, envelope, array, &all[..2]),
        ("batch of lines", batch, envelope, lines, &all[..2]),
        ("raw batch", batch, raw, array, &all),
        ("raw batch of lines", batch, raw, lines, &all),
    ];
    let mut missing = String::new();
    for (name, mode, format, batch_format, events) in samples {
        let block = shown(&on_the_wire(mode, format, batch_format, events).await);
        if !PAGE.contains(&block) {
            missing.push_str(&format!("=== {name}\n{block}"));
        }
    }
    assert!(missing.is_empty(), "docs/what-arrives.md does not show:\n{missing}");
    assert_eq!(PAGE.matches("```http\n").count(), samples.len(), "it shows something that does not arrive");
}
