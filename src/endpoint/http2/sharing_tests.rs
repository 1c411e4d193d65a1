//! Requests of one endpoint on several connections: the older ones and the newer ones.

use std::{cell::Cell, rc::Rc, time::Duration};

use bytes::Bytes;
use http::Response;
use tokio::{net::TcpStream, sync::Notify};
use tokio_rustls::server::TlsStream;

use super::{CONNECTIONS_MAX, WITH_STREAMS_MAX, fault_tests::LONG, testing::*};
use crate::{
    clock,
    endpoint::tls::HTTP2,
    model::settings::{Auth, Http2},
};

/// Requests without an answer, over all connections.
#[derive(Default)]
struct Gathering {
    now: Cell<usize>,
    most: Cell<usize>,
    are_enough: Notify,
}

impl Gathering {
    fn join(&self, enough: usize) {
        self.now.set(self.now.get() + 1);
        self.most.set(self.most.get().max(self.now.get()));
        if self.now.get() >= enough {
            self.are_enough.notify_waiters();
        }
    }

    /// Until so many have come, and for whoever would come after them.
    async fn wait(&self, enough: usize) {
        if self.most.get() < enough {
            self.are_enough.notified().await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.now.set(self.now.get() - 1);
    }
}

/// Answers nobody before `enough` have come. Where it `leaves`, each connection takes one request and says GOAWAY.
async fn gather(stream: TlsStream<TcpStream>, gathering: Rc<Gathering>, enough: usize, leaves: bool) {
    let mut builder = h2::server::Builder::new();
    if leaves {
        builder.max_concurrent_streams(1);
    }
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
    while let Some(Ok((_, mut answer))) = connection.accept().await {
        gathering.join(enough);
        if leaves {
            connection.graceful_shutdown();
        }
        let gathering = Rc::clone(&gathering);
        actix_rt::spawn(async move {
            gathering.wait(enough).await;
            let _ = answer.send_response(Response::new(()), true);
        });
    }
}

async fn gathering(enough: usize, leaves: bool) -> (Server, Rc<Gathering>) {
    let gathering = Rc::new(Gathering::default());
    let of_server = Rc::clone(&gathering);
    let serve = move |stream, _| gather(stream, Rc::clone(&of_server), enough, leaves);
    (Server::serving(HTTP2, serve).await, gathering)
}

/// All of these at once on the way, or none is answered.
#[actix_rt::test]
async fn as_many_requests_as_are_allowed_are_on_one_connection_at_once() {
    let (server, gathering) = gathering(64, false).await;
    // One endpoint gets a share of the requests that a core may have under way.
    let client = client(|limits| (limits.in_flight_max, limits.connections_max) = (256, 512));
    let answers = send(&mut server.patient_sender("ep_1", LONG), &client, 64).await;
    answers.iter().for_each(assert_taken);
    assert_eq!((gathering.most.get(), server.seen.connections.get()), (64, 1));
}

/// Connections that have said GOAWAY are replaced while their last answers are waited for, up to a number of connections.
#[actix_rt::test]
async fn connections_that_take_no_more_are_few_and_end_with_their_last_streams() {
    let (server, gathering) = gathering(WITH_STREAMS_MAX, true).await;
    let client = client(|_| {});
    let answers = send(&mut server.patient_sender("ep_1", LONG), &client, 3 * WITH_STREAMS_MAX).await;
    answers.iter().for_each(assert_taken);
    assert_eq!(gathering.most.get(), WITH_STREAMS_MAX, "whoever comes then waits until one has ended");
    assert_eq!(client.connections().open(), 0, "and none of them is kept");
}

/// The one that was used last serves the next request, so that what a burst needed is closed in time.
#[actix_rt::test]
async fn connections_of_a_burst_are_not_kept_by_requests_that_need_one() {
    let takes = Duration::from_millis(5);
    let server = Server::behaving(Manner { streams_max: Some(1), takes, ..Manner::default() }).await;
    let client = client(|limits| limits.keep_alive = Duration::from_millis(300));
    let mut sender = server.patient_sender("ep_1", LONG);
    send(&mut sender, &client, 10 * CONNECTIONS_MAX).await.iter().for_each(assert_taken);
    assert_eq!(client.connections().open(), CONNECTIONS_MAX);
    let until = clock::now() + LONG / 3;
    while client.connections().open() > 1 {
        assert!(clock::now() < until, "{} are still open", client.connections().open());
        send(&mut sender, &client, 1).await.iter().for_each(assert_taken);
    }
    send(&mut server.sender(Http2::Auto, Auth::None), &client, 1).await.iter().for_each(assert_taken);
    assert_eq!(server.seen.connections.get(), CONNECTIONS_MAX, "one of them goes on");
}
