//! Exchanges with a real server, in the same thread.

use std::time::Duration;

use http::{HeaderMap, Method};

use super::{testing::*, *};
use crate::{
    endpoint::tls::HTTP2,
    model::settings::{Auth, Http2},
};

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
    let server = Server::start(HTTP2, Duration::from_millis(1_500)).await;
    let client = client(|limits| limits.connection_age_max = Duration::from_millis(500));
    let patient = Duration::from_secs(20);
    let mut sender = server.patient_sender("ep_1", patient);
    let early = send(&mut sender, &client, 2);
    let late_sender = &mut server.patient_sender("ep_1", patient);
    let late = async {
        while server.seen.heads.borrow().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
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
