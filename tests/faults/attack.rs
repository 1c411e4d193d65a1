//! ● Whoever attacks the API, with one key or none: another key's calls are timed without and with the attack, and so are
//! the probes.

mod stand; // who attacks, and who is timed beside it

use std::{
    collections::VecDeque,
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use rand::rngs::SmallRng;
use serde_json::json;

use self::stand::{Stand, connect_from};
use crate::{harness::Mode, row::Outcome, setup::stream_settings};

/// Of the budget for bodies and answers (`admin.memory_bytes_max`), in the hands of one that is after it.
const HELD_BYTES_MIN: f64 = 50e6;

/// Row 61: connections that asked once, and then sent one byte more.
pub fn sockets(_: &mut SmallRng) -> Outcome {
    Stand::new("fault-61").compare(|stand, attack| {
        let mut held = Vec::new();
        attack.repeat(|| {
            if held.len() >= 2_048 {
                held.drain(..1_024);
            }
            let Some(mut stream) = connect_from("127.0.0.61", stand.address()) else { return };
            let _ = stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n");
            let _ = stream.read(&mut [0; 512]);
            let _ = stream.write_all(b"G");
            held.push(stream);
        });
    })
}

/// Row 62: bodies that never end, with a key and without, and answers that nobody reads.
pub fn memory(_: &mut SmallRng) -> Outcome {
    let stand = Stand::new("fault-62").holding(HELD_BYTES_MIN);
    let page = large_page(&stand);
    stand.compare(|stand, attack| {
        let body = vec![b' '; 1_000_000];
        let heads = [
            stand.head("POST /v1/endpoints", 1_048_576),
            "POST /peer/endpoints HTTP/1.1\r\nhost: x\r\ncontent-length: 1048576\r\n\r\n".to_owned(),
            page.clone(),
        ];
        let mut held = Vec::new();
        // A connection stays for a second or two. Those of an attacker that opens as many as it can are gone before there
        // is an answer to hold: little fills, and the others' calls are measured against the cores that it takes itself.
        attack.repeat_paced(500, |number| {
            let head = &heads[number % heads.len()];
            if held.len() >= 900 {
                held.drain(..450);
            }
            // From several addresses: the limit of each is not what is tried here.
            let source = format!("127.0.62.{}", 1 + number % 8);
            let Some(mut stream) = connect_from(&source, stand.address()) else { return };
            let sent = stream.write_all(head.as_bytes());
            if sent.is_ok() && head.starts_with("POST") {
                let _ = stream.set_write_timeout(Some(Duration::from_millis(20)));
                let _ = stream.write_all(&body);
            }
            held.push(stream);
        });
    })
}

/// Row 62a: large answers that are asked for, and whoever asked has gone when they come.
pub fn hang_ups(_: &mut SmallRng) -> Outcome {
    let stand = Stand::new("fault-62a");
    let page = large_page(&stand);
    stand.compare(|stand, attack| {
        let mut held = VecDeque::new();
        attack.repeat_paced(200, |number| {
            let source = format!("127.0.62.{}", 1 + number % 8);
            let Some(mut stream) = connect_from(&source, stand.address()) else { return };
            let _ = stream.write_all(page.as_bytes());
            held.push_back(stream);
            if held.len() > 40 {
                held.pop_front();
            }
        });
    })
}

/// A request of the attacker for a page of 8 MB of dead letters, which are there.
fn large_page(stand: &Stand) -> String {
    stand.app.postgres.execute(&letters(&stand.endpoint, 40, "repeat('x', 200000)::bytea"));
    stand.head(&format!("GET /v1/endpoints/{}/dead-letters?data=true&limit=100", stand.endpoint), 0)
}

/// Letters of an endpoint, written by hand.
fn letters(endpoint: &str, count: u32, value: &str) -> String {
    format!(
        "INSERT INTO dead_letter (id, key, endpoint_id, customer_id, topic, partition, \"offset\", record_ms, occurred_ms,
            tenant, record_value, record_headers, reason, attempts, received_at, created_at)
         SELECT 'dl_' || lpad(n::text, 26, '0'), 'k', '{endpoint}', 'cus', 'orders', 0, n, 0, 0, 'other', {value}, '',
            'exhausted', 1, now(), now() FROM generate_series(1, {count}) AS n; ANALYZE dead_letter"
    )
}

/// Row 63: a filter that matches none of very many letters, 24 at a time.
pub fn queries(_: &mut SmallRng) -> Outcome {
    let stand = Stand::new("fault-63");
    stand.app.postgres.execute(&letters(&stand.endpoint, 300_000, "NULL"));
    let path = format!("/v1/endpoints/{}/dead-letters?tenant=nosuch", stand.endpoint);
    stand.compare(|stand, attack| {
        let attacker = stand.app.rest().with_key(Some(&stand.attacker));
        thread::scope(|scope| {
            for _ in 0..24 {
                scope.spawn(|| attack.repeat(|| drop(attacker.try_get(&path))));
            }
        });
    })
}

/// Row 64: sample events with 90,000 fields that nobody knows, 12 at a time.
pub fn matches(_: &mut SmallRng) -> Outcome {
    let unknown: Vec<String> = (0..90_000).map(|number| format!("\"f{number}\":0")).collect();
    let body = format!("{{{}}}", unknown.join(","));
    Stand::new("fault-64").compare(|stand, attack| {
        let request = [stand.head("POST /v1/match", body.len()).as_bytes(), body.as_bytes()].concat();
        thread::scope(|scope| {
            for number in 0..12 {
                let request = &request;
                scope.spawn(move || {
                    attack.repeat(|| {
                        let source = format!("127.0.64.{}", 1 + number);
                        let Some(mut stream) = connect_from(&source, stand.address()) else { return };
                        let _ = stream.write_all(request);
                        let _ = stream.read(&mut [0; 512]);
                        thread::sleep(Duration::from_millis(20));
                    });
                });
            }
        });
    })
}

/// Row 65: bulk calls that never end, tests of an endpoint that never answers, long polls; others still get their own.
pub fn slots(_: &mut SmallRng) -> Outcome {
    let stand = Stand::new("fault-65");
    let hanging = stand.receiver.hook("hanging");
    hanging.set(Mode::Hang);
    let hanging = stand.app.endpoint(&hanging, stream_settings()).id;
    let own = stand.app.endpoint(&stand.receiver.hook("own"), stream_settings()).id;
    let served = AtomicBool::new(false);
    let outcome = stand.compare(|stand, attack| {
        let heads = [
            stand.head("POST /v1/endpoints/bulk", 5_000),
            stand.head(&format!("POST /v1/endpoints/{hanging}/test"), 0),
            stand.head(&format!("GET /v1/endpoints/{}/dead-letters?wait=30s", stand.endpoint), 0),
        ];
        let mut held: Vec<TcpStream> = Vec::new();
        for number in 0..400_usize {
            let kind = match number {
                0..6 => 0,
                6..26 => 1,
                _ => 2,
            };
            let source = format!("127.0.65.{}", 1 + number % 8);
            let Some(mut stream) = connect_from(&source, stand.address()) else { continue };
            let _ = stream.write_all(heads[kind].as_bytes());
            held.push(stream);
        }
        let begun = Instant::now();
        let body =
            json!({"customers": [{"uid": "bulk", "name": "of the victim", "grants": {"topics": [], "tenants": []}}]});
        let bulk = stand.app.rest().post("/v1/customers/bulk", &body).status;
        let test = stand.app.rest().post(&format!("/v1/endpoints/{own}/test"), &json!({})).status;
        let soon = begun.elapsed() < Duration::from_secs(3);
        let begun = Instant::now();
        let poll = stand.victim.get(&format!("/v1/endpoints/{own}/dead-letters?wait=2s")).status;
        let waited = begun.elapsed() >= Duration::from_millis(1_900);
        assert!((bulk, test, poll) == (200, 200, 200) && soon && waited, "{bulk} {test} {poll}, {soon} {waited}");
        served.store(true, Ordering::Release);
        attack.repeat(|| thread::sleep(Duration::from_millis(50)));
    });
    assert!(served.load(Ordering::Acquire), "others had a bulk call, a test and a long poll meanwhile");
    outcome
}

/// Row 66: guesses of the configured key; other keys come from the same address.
pub fn guesses(_: &mut SmallRng) -> Outcome {
    let (tried, judged) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let status = |stand: &Stand, key: &str| {
        let mut stream = connect_from("127.0.0.66", stand.address())?;
        let head = format!(
            "GET /v1/api-keys/current HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).ok()?;
        let mut status = [0; 12];
        stream.read_exact(&mut status).ok()?;
        String::from_utf8_lossy(&status[9..]).parse::<u16>().ok()
    };
    let begun = Instant::now();
    let outcome = Stand::new("fault-66").compare(|stand, attack| {
        let mut number = 0;
        attack.repeat(|| {
            number += 1;
            tried.fetch_add(1, Ordering::Relaxed);
            let is_judged = status(stand, &format!("a-guess-{number:08}")) == Some(401);
            judged.fetch_add(usize::from(is_judged), Ordering::Relaxed);
            if number % 50 == 0 {
                assert_eq!(status(stand, &stand.attacker), Some(200), "a key of its own passes");
            }
        });
    });
    // Five a second and twenty at once, and the one that shows that it goes on.
    let allowed = 20 + 2 * 5 * (begun.elapsed().as_secs() as usize + 1);
    let (tried, judged) = (tried.into_inner(), judged.into_inner());
    assert!(judged <= allowed, "{judged} guesses were judged, at most {allowed}");
    let note = format!("{}; of {tried} guesses {judged} were judged", outcome.note);
    outcome.note(note)
}
