//! Servers that begin an answer and do not end it, or never take a request's body.

use std::{rc::Rc, time::Duration};

use h2::Reason;
use tokio::{
    io::{self, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use super::{
    fault_tests::{LONG, assert_fallen_back},
    flood_tests::{DATA, END_HEADERS, HEADERS, OK, SETTINGS, frame, read_first_head},
    testing::*,
};
use crate::{
    endpoint::tls::HTTP2,
    model::{
        outcome::Answer,
        settings::{Auth, Http2},
    },
};

/// Says this to its first request, and closes the connection.
async fn say_and_close(mut stream: TlsStream<TcpStream>, said: Rc<Vec<u8>>) -> io::Result<()> {
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
    read_first_head(&mut stream).await?;
    stream.write_all(&said).await?;
    stream.shutdown().await
}

async fn saying(said: Vec<u8>) -> Server {
    let said = Rc::new(said);
    let serve = move |stream, _| {
        let said = Rc::clone(&said);
        async move { drop(say_and_close(stream, said).await) }
    };
    Server::serving(HTTP2, serve).await
}

/// Its answer to one request, and the connections that it took for that.
async fn answer_of(server: &Server) -> (Answer, usize) {
    let mut answers = send(&mut server.patient_sender("ep_1", LONG), &client(|_| {}), 1).await;
    (answers.remove(0), server.seen.connections.get())
}

/// A request that the server may have processed is not sent again at once: that is an attempt, and it failed.
#[actix_rt::test]
async fn half_an_answer_is_none_and_an_attempt() {
    let half = [frame(HEADERS, END_HEADERS, 1, OK), frame(DATA, 0, 1, b"ha")].concat();
    let (answer, connections) = answer_of(&saying(half).await).await;
    assert!(matches!(answer, Answer::Broken(_)), "{answer:?}");
    assert_eq!(connections, 1);
}

#[actix_rt::test]
async fn a_request_that_a_goaway_names_as_taken_is_an_attempt() {
    let taken = frame(GO_AWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]);
    assert_eq!(answer_of(&saying(taken).await).await, (Answer::Disconnected, 1));
    let not_taken = frame(GO_AWAY, 0, 0, &[0; 8]);
    assert_eq!(answer_of(&saying(not_taken).await).await, (Answer::Disconnected, 3), "otherwise it goes again");
}

#[actix_rt::test]
async fn what_is_no_frame_at_all_ends_http2_there() {
    let server = saying(vec![0xff; 100]).await;
    let (client, mut sender) = (client(|_| {}), server.patient_sender("ep_1", LONG));
    assert_eq!(send(&mut sender, &client, 1).await, [Answer::Disconnected]);
    assert_fallen_back(&send(&mut sender, &client, 1).await);
}

#[actix_rt::test]
async fn a_stream_that_is_reset_for_another_reason_is_one_attempt_and_the_connection_stays() {
    let manner = Manner { resets: 1, reason: Reason::INTERNAL_ERROR, ..Manner::default() };
    let (server, client) = (Server::behaving(manner).await, client(|_| {}));
    let mut sender = server.sender(Http2::Auto, Auth::None);
    let answers = send(&mut sender, &client, 1).await;
    assert!(matches!(answers[0], Answer::Broken(_)), "{answers:?}");
    assert_eq!(server.seen.heads.borrow().len(), 1, "it may have been processed");
    send(&mut sender, &client, 1).await.iter().for_each(assert_taken);
    assert_eq!(server.seen.connections.get(), 1);
}

#[actix_rt::test]
async fn a_window_that_never_opens_costs_a_request_its_time_and_no_more() {
    let manner = Manner { window: Some(0), takes: LONG, ..Manner::default() };
    let (server, client) = (Server::behaving(manner).await, client(|_| {}));
    let mut sender = server.patient_sender("ep_1", Duration::from_millis(300));
    assert_eq!(send(&mut sender, &client, 3).await, vec![Answer::TimedOut; 3]);
    assert_eq!(client.connections().open(), 0, "nobody waits for the window any more");
}

const GO_AWAY: u8 = 7;
