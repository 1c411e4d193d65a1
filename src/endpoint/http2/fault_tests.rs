//! Servers that misbehave: what that costs, and whom.

use std::time::Duration;

use h2::Reason;

use super::testing::*;
use crate::{
    clock,
    model::{
        outcome::Answer,
        settings::{Auth, Http2},
    },
};

/// Nobody waits so long.
pub(super) const LONG: Duration = Duration::from_secs(30);

/// Their server speaks HTTP/2 alone, and they were offered HTTP/1.1.
#[track_caller]
pub(super) fn assert_fallen_back(answers: &[Answer]) {
    assert!(answers.iter().all(|answer| matches!(answer, Answer::TlsFailed(_))), "{answers:?}");
}

#[actix_rt::test]
async fn a_body_that_is_answered_before_it_is_sent_is_taken_back() {
    let manner = Manner { window: Some(0), streams_max: Some(2), holds_bodies: true, ..Manner::default() };
    let server = Server::behaving(manner).await;
    let client = client(|_| {});
    // Were they kept, there would be no stream left for the third.
    for _ in 0..5 {
        send(&mut server.sender(Http2::Auto, Auth::None), &client, 1).await.iter().for_each(assert_taken);
    }
    assert_eq!(server.seen.connections.get(), 1);
}

#[actix_rt::test]
async fn whoever_waits_for_a_stream_hears_that_http2_is_spoken_no_more() {
    let reason = Reason::HTTP_1_1_REQUIRED;
    let takes = Duration::from_millis(50);
    let manner = Manner { streams_max: Some(1), resets: usize::MAX, reason, takes, ..Manner::default() };
    let server = Server::behaving(manner).await;
    let began = clock::now();
    assert_fallen_back(&send(&mut server.patient_sender("ep_1", LONG), &client(|_| {}), 20).await);
    assert!(clock::now() - began < LONG / 2);
}

#[actix_rt::test]
async fn an_endpoint_whose_http2_misbehaves_costs_no_other_one_its_http2() {
    let manner = Manner { resets: 1, reason: Reason::HTTP_1_1_REQUIRED, ..Manner::default() };
    let (server, client) = (Server::behaving(manner).await, client(|_| {}));
    assert_fallen_back(&send(&mut server.patient_sender("ep_1", LONG), &client, 1).await);
    send(&mut server.patient_sender("ep_2", LONG), &client, 1).await.iter().for_each(assert_taken);
    assert_fallen_back(&send(&mut server.patient_sender("ep_1", LONG), &client, 1).await);
}

#[actix_rt::test]
async fn a_server_that_twice_says_nothing_in_time_is_asked_no_more() {
    let (server, client) = (Server::behaving(Manner { is_mute: true, ..Manner::default() }).await, client(|_| {}));
    let mut sender = server.patient_sender("ep_1", Duration::from_millis(300));
    for _ in 0..2 {
        assert_eq!(send(&mut sender, &client, 1).await, [Answer::TimedOut]);
    }
    assert_fallen_back(&send(&mut server.patient_sender("ep_1", LONG), &client, 1).await);
}

#[actix_rt::test]
async fn a_server_that_refuses_again_and_again_is_asked_thrice_and_that_is_no_attempt() {
    let (server, client) = (Server::behaving(Manner { resets: 3, ..Manner::default() }).await, client(|_| {}));
    let mut sender = server.sender(Http2::Auto, Auth::None);
    assert_eq!(send(&mut sender, &client, 1).await, [Answer::Disconnected]);
    assert_eq!(server.seen.heads.borrow().len(), 3);
    send(&mut sender, &client, 1).await.iter().for_each(assert_taken);
    assert_eq!(server.seen.connections.get(), 1);
}

#[actix_rt::test]
async fn a_server_that_takes_no_streams_is_spoken_to_by_http1() {
    let (server, client) =
        (Server::behaving(Manner { streams_max: Some(0), ..Manner::default() }).await, client(|_| {}));
    let answers = send(&mut server.patient_sender("ep_1", LONG), &client, 3).await;
    assert!(answers.iter().all(|answer| *answer != Answer::TimedOut), "{answers:?}");
    assert_fallen_back(&send(&mut server.patient_sender("ep_1", LONG), &client, 1).await);
}

#[actix_rt::test]
async fn requests_beyond_the_servers_limit_of_streams_all_get_their_turn() {
    let takes = Duration::from_millis(20);
    let manner = Manner { streams_max: Some(1), takes, ..Manner::default() };
    let (server, client) = (Server::behaving(manner).await, client(|limits| limits.in_flight_max = 64));
    let mut sender = server.patient_sender("ep_1", LONG);
    send(&mut sender, &client, 40).await.iter().for_each(assert_taken);
    assert_eq!(server.seen.heads.borrow().len(), 40);
}

#[actix_rt::test]
async fn a_kept_connection_that_has_ended_is_in_nobodys_way() {
    let http2 = Server::start(crate::endpoint::tls::HTTP2, Duration::ZERO).await;
    let client = client(|limits| limits.connections_max = 2);
    send(&mut http2.sender(Http2::Auto, Auth::None), &client, 1).await.iter().for_each(assert_taken);
    let connections = client.connections();
    assert_eq!((connections.open(), connections.unused()), (1, 1));
    http2.seen.stop.notify_waiters();
    while connections.open() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(connections.unused(), 1, "what has ended is still kept");
    // Two more that are kept: now all places are taken, and the dead one is the oldest.
    let other = Server::start(crate::endpoint::tls::HTTP2, Duration::ZERO).await;
    for endpoint in ["ep_2", "ep_3"] {
        send(&mut other.patient_sender(endpoint, LONG), &client, 1).await.iter().for_each(assert_taken);
    }
    assert_eq!((connections.open(), connections.unused()), (2, 3));
    assert!(connections.place().is_ok(), "a living one that nobody uses makes room");
}
