//! Servers that misbehave: what that costs, and whom.

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use h2::Reason;

use super::{CONNECTIONS_MAX, testing::*};
use crate::{
    clock,
    endpoint::request_sender::testing::request,
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
async fn streams_go_round_on_a_few_connections_while_more_and_more_requests_come() {
    let takes = Duration::from_millis(5);
    let manner = Manner { streams_max: Some(1), takes, ..Manner::default() };
    let (server, client) = (Server::behaving(manner).await, client(|_| {}));
    let (sender, sent) = (RefCell::new(server.patient_sender("ep_1", LONG)), Cell::new(0));
    // As many wait as are under way, and whoever has an answer asks again at once.
    let asking = (0..2 * CONNECTIONS_MAX).map(|_| async {
        let mut answers = 0;
        while sent.get() < 20 * CONNECTIONS_MAX {
            sent.set(sent.get() + 1);
            let sending = sender.borrow_mut().send(&client, request());
            assert_taken(&sending.await.answer);
            answers += 1;
        }
        answers
    });
    let answers = futures_util::future::join_all(asking).await;
    assert!(answers.iter().all(|answers| *answers >= 5), "each in its turn: {answers:?}");
    assert_eq!(server.seen.connections.get(), CONNECTIONS_MAX, "those that are there serve them all");
}

#[actix_rt::test]
async fn a_further_connection_that_is_refused_fails_nobody_who_can_wait_for_a_stream() {
    let takes = Duration::from_millis(50);
    let manner = Manner { streams_max: Some(1), takes, connections_max: 1, ..Manner::default() };
    let (server, client) = (Server::behaving(manner).await, client(|_| {}));
    send(&mut server.patient_sender("ep_1", LONG), &client, 8).await.iter().for_each(assert_taken);
    assert_eq!(server.seen.connections.get(), 1);
}

#[actix_rt::test]
async fn time_waited_for_a_stream_is_no_part_of_what_an_answer_takes() {
    let takes = Duration::from_secs(1);
    let (server, client) =
        (Server::behaving(Manner { streams_max: Some(1), takes, ..Manner::default() }).await, client(|_| {}));
    // The last third waits for two seconds, and has its answer after three.
    let mut sender = server.patient_sender("ep_1", takes * 26 / 10);
    send(&mut sender, &client, 3 * CONNECTIONS_MAX).await.iter().for_each(assert_taken);
}

#[actix_rt::test]
async fn a_request_that_finds_no_stream_in_time_is_not_one_that_was_not_answered() {
    let manner = Manner { streams_max: Some(1), takes: LONG, ..Manner::default() };
    let (server, client) = (Server::behaving(manner).await, client(|_| {}));
    let answers = send(&mut server.patient_sender("ep_1", Duration::from_secs(3)), &client, 40).await;
    let of = |answer| answers.iter().filter(|other| **other == answer).count();
    let (timed_out, no_stream) = (of(Answer::TimedOut), of(Answer::NoStream));
    assert_eq!(timed_out + no_stream, 40, "{answers:?}");
    assert!(timed_out >= CONNECTIONS_MAX && no_stream >= 20, "{timed_out} had one, {no_stream} had none");
    assert!(server.seen.heads.borrow().len() >= timed_out, "nothing was sent of the others");
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
