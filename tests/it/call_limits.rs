//! Rate limits of keys and of client addresses, against a real Postgres.

use std::{net::SocketAddr, num::NonZeroU32};

use actix_rt::task::spawn_blocking;
use postrider::admin::client_address::TrustedProxies;
use serde_json::json;

use crate::{
    api::{Api, KEY, options},
    connections::{answer, connect_from, send},
};

#[actix_rt::test]
async fn a_key_that_calls_too_often_waits_and_no_other_key_does() {
    let api = Api::limited(Some(3), None).await;
    let (busy, _) = api.api_key("operator", None).await;
    let (other, _) = api.api_key("operator", None).await;
    let bearer = format!("Bearer {busy}");
    let mut refused = None;
    // The burst is 3; a test that is held up for seconds gets more.
    for _ in 0..1_000 {
        let answer = api.send_for_headers("GET", "/v1/actors", &[("authorization", &bearer)], String::new()).await;
        if answer.0 != 200 {
            refused = Some(answer);
            break;
        }
    }
    let (status, headers, problem) = refused.expect("it is held back in the end");
    assert_eq!((status.as_u16(), &problem["code"]), (429, &json!("too_many_requests")));
    let wait = headers.get("retry-after").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    assert_eq!(wait, Some(1));
    assert_eq!(api.call_as(&other, "GET", "/v1/actors", None).await.0, 200);
    for _ in 0..20 {
        assert_eq!(api.call("GET", "/v1/actors", None).await.0, 200, "the key of the configuration is not held back");
        assert_eq!(api.send("GET", "/livez", &[], String::new()).await.0, 200);
    }
}

#[actix_rt::test]
async fn wrong_keys_of_an_address_are_refused_unseen_while_right_ones_pass() {
    let api = Api::limited(None, Some(1)).await;
    let (right, _) = api.api_key("operator", None).await;
    assert_eq!(api.call_as(&right, "GET", "/v1/actors", None).await.0, 200);
    let mut statuses = Vec::new();
    for number in 0..200 {
        let wrong = format!("prk_{number:052}");
        let (status, problem) = api.call_as(&wrong, "GET", "/v1/actors", None).await;
        statuses.push((status.as_u16(), problem["code"].as_str().unwrap_or_default().to_owned()));
        if status == 429 {
            break;
        }
    }
    assert_eq!(statuses[0], (401, "wrong_key".to_owned()));
    assert_eq!(statuses.last(), Some(&(429, "too_many_requests".to_owned())));
    assert_eq!(api.call_as(&right, "GET", "/v1/actors", None).await.0, 200, "a key that is known passes");
    assert_eq!(api.call("GET", "/v1/actors", None).await.0, 200, "and so does that of the configuration");
}

/// The status of a call from another address of the loopback, with this key.
fn status_from(source: &str, address: SocketAddr, token: &str, headers: &str) -> u16 {
    let mut stream = connect_from(source, address);
    let head = format!(
        "GET /v1/api-keys/current HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n{headers}connection: close\r\n\r\n"
    );
    send(&mut stream, &head);
    answer(&mut stream)[9..12].parse().expect("a status")
}

#[actix_rt::test]
async fn guesses_of_the_configured_key_are_held_back_and_keys_that_were_issued_are_not() {
    let api = Api::limited(None, Some(1)).await;
    let (never_used, _) = api.api_key("operator", None).await;
    let address = api.address();
    // Elsewhere, because the API's connections to Postgres live on this thread. Each round is from an address of its own; a
    // machine that pauses for a second lets a block end.
    let rounds = spawn_blocking(move || {
        let round = |round: u32| {
            let from = format!("127.0.7.{round}");
            let guess = |number: u32| status_from(&from, address, &format!("a-guess-{number}"), "");
            assert!((0..100).any(|number| guess(number) == 429), "it is held back in the end");
            (status_from(&from, address, KEY, ""), status_from(&from, address, &never_used, ""))
        };
        (0..10).map(round).collect::<Vec<_>>()
    });
    let (right, issued): (Vec<u16>, Vec<u16>) = rounds.await.expect("rounds").into_iter().unzip();
    let told = right.iter().filter(|status| **status == 200).count();
    assert!(told <= 2, "the right one among the guesses is refused as well: {right:?}");
    assert_eq!(issued, [200; 10], "a key that was issued passes beside them");
    assert_eq!(api.call("GET", "/v1/actors", None).await.0, 200, "and from elsewhere so does the configured one");
}

#[actix_rt::test]
async fn behind_a_trusted_proxy_the_clients_address_is_what_the_proxy_says() {
    let mut options = options();
    options.public.trusted_proxies = TrustedProxies::parse(&["127.0.0.8"]).expect("networks");
    options.limits.wrong_keys_per_second = NonZeroU32::new(1);
    let api = Api::with(options).await;
    let guess = |source: &str, client: &str| {
        status_from(
            source,
            api.address(),
            "a-guess-of-the-key",
            &format!("x-forwarded-for: 198.51.100.99, {client}\r\n"),
        )
    };
    assert!((0..100).any(|_| guess("127.0.0.8", "203.0.113.1") == 429));
    assert_eq!(guess("127.0.0.8", "203.0.113.2"), 401, "another client of the same proxy");
    // What is no trusted proxy cannot speak for others.
    assert!((0..100).any(|number| guess("127.0.0.7", &format!("203.0.113.{number}")) == 429));
}
