//! Places, and who loses a connection for another.

use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::endpoint::connection::Stream;

const KEEP_ALIVE: Duration = Duration::from_secs(60);

fn destination(port: u16) -> Rc<Destination> {
    Rc::new(Destination { host: "hook.example".into(), port, security: Security::Plain, sharer: None })
}

/// A connection and its other end.
async fn connect(connections: &Connections) -> (EndpointConnection, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (here, there) = tokio::join!(TcpStream::connect(address), listener.accept());
    let place = connections.place().expect("a place");
    let ends_at = clock::now() + KEEP_ALIVE;
    let mut connection = EndpointConnection::new(Stream::Plain(here.expect("connected")), place, ends_at);
    assert!(connection.is_alive());
    (connection, there.expect("accepted").0)
}

async fn has_ended(there: &mut TcpStream) -> bool {
    there.read(&mut [0; 1]).await.is_ok_and(|read| read == 0)
}

#[actix_rt::test]
async fn a_place_is_free_again_when_its_connection_is_dropped() {
    let connections = Connections::new(1, KEEP_ALIVE);
    let (held, _there) = connect(&connections).await;
    assert_eq!(connections.open(), 1);
    drop(held);
    assert_eq!(connections.open(), 0);
    drop(connections.place().expect("a place"));
    assert_eq!(connections.open(), 0, "a connection that did not come about gives its place back");
}

#[actix_rt::test]
async fn without_a_place_the_connection_used_longest_ago_is_closed() {
    let connections = Connections::new(3, KEEP_ALIVE);
    let mut ends = Vec::new();
    for port in 0..3 {
        let (connection, there) = connect(&connections).await;
        connections.keep(&destination(port), connection, clock::now());
        ends.push(there);
    }
    // The first is used again, so the second is the oldest.
    let first = connections.take(&destination(0), clock::now()).expect("it is kept");
    connections.keep(&destination(0), first, clock::now());
    let (_fourth, _there) = connect(&connections).await;
    assert_eq!((connections.open(), connections.unused()), (3, 2));
    assert!(has_ended(&mut ends[1]).await, "its other end sees it at once");
    assert!(connections.take(&destination(1), clock::now()).is_none());
    assert!(connections.take(&destination(0), clock::now()).is_some());
}

#[actix_rt::test]
async fn a_connection_is_never_closed_while_an_exchange_uses_it() {
    let connections = Connections::new(1, KEEP_ALIVE);
    let (mut held, _there) = connect(&connections).await;
    assert!(connections.place().is_err(), "the only one is in use");
    assert_eq!(connections.close_unused(usize::MAX), 0);
    assert!(held.is_alive());
    connections.keep(&destination(1), held, clock::now());
    assert!(connections.place().is_ok(), "the exchange is over");
}

#[actix_rt::test]
async fn a_kept_connection_that_the_other_side_has_closed_serves_nobody() {
    let connections = Connections::new(2, KEEP_ALIVE);
    let (mut connection, there) = connect(&connections).await;
    drop(there);
    while connection.is_alive() {
        tokio::task::yield_now().await;
    }
    connections.keep(&destination(1), connection, clock::now());
    assert!(connections.take(&destination(1), clock::now()).is_none());
    assert_eq!(connections.open(), 0);
}

#[actix_rt::test]
async fn what_nobody_uses_is_closed_after_a_while() {
    let connections = Connections::new(2, Duration::from_millis(30));
    let (connection, mut there) = connect(&connections).await;
    connections.keep(&destination(1), connection, clock::now());
    assert!(has_ended(&mut there).await);
    assert_eq!(connections.open(), 0);
}

#[actix_rt::test]
async fn spare_places_are_so_many_and_leave_every_request_its_own() {
    let (connections, customer) = (Connections::with_spare(3, 1, KEEP_ALIVE), "cus_1".into());
    let spare = connections.spare_place(&customer).expect("one is spare");
    assert!(connections.spare_place(&customer).is_none());
    let places = [connections.place().expect("a place"), connections.place().expect("a place")];
    assert!(connections.place().is_err());
    drop(spare);
    let third = connections.place();
    assert!(third.is_ok() && connections.spare_place(&customer).is_none(), "all places are taken");
    drop((third, places));
    assert!(connections.spare_place(&customer).is_some());
    assert_eq!(connections.open(), 0);
}

#[actix_rt::test]
async fn no_connection_is_closed_for_a_spare_place() {
    let connections = Connections::with_spare(1, 1, KEEP_ALIVE);
    let (kept, _there) = connect(&connections).await;
    connections.keep(&destination(1), kept, clock::now());
    assert!(connections.spare_place(&"cus_1".into()).is_none());
    assert_eq!(connections.unused(), 1);
}

#[actix_rt::test]
async fn connections_that_nobody_uses_leave_the_spare_places_free() {
    let connections = Connections::with_spare(16, 1, KEEP_ALIVE);
    let mut others = Vec::new();
    for port in 1..=16 {
        let (kept, there) = connect(&connections).await;
        others.push(there);
        connections.keep(&destination(port), kept, clock::now());
    }
    assert_eq!(connections.unused(), 15);
    assert!(connections.spare_place(&"cus_1".into()).is_some());
}

#[actix_rt::test]
async fn one_customer_has_a_quarter_of_the_spare_places_at_most() {
    let connections = Connections::with_spare(16, 8, KEEP_ALIVE);
    let places_of = |customer: &str| -> Vec<_> {
        let customer = customer.into();
        std::iter::from_fn(|| connections.spare_place(&customer)).collect()
    };
    let held: Vec<_> = ["cus_1", "cus_2", "cus_3", "cus_4", "cus_5"].map(places_of).into();
    assert_eq!(held.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 2, 2, 0]);
    drop(held);
    assert_eq!(connections.open(), 0);
    assert_eq!(places_of("cus_5").len(), 2);
}
