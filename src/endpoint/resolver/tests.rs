//! Questions to name servers: how often, and who waits for the answer.

use futures_util::future::join_all;

use super::{
    testing::{Hole, Scripted, limits},
    *,
};

/// Long beside the pauses that a busy machine makes.
const TIMEOUT: Duration = Duration::from_millis(500);

fn resolver(server: impl NameServer + 'static) -> Resolver {
    Resolver::new(Box::new(server), limits(), TIMEOUT, 8)
}

async fn look_up(resolver: &Resolver, customer: &str, name: &str) -> (Result<Vec<SocketAddr>, NameFailure>, Duration) {
    let waits = Waits::default();
    let result = resolver.addresses(&Arc::from(customer), name, 80, &waits).await;
    (result, waits.so_far(clock::now()))
}

#[actix_rt::test]
async fn a_name_is_looked_up_once_and_serves_every_port() {
    let names = Scripted::new(&[&["1.1.1.1", "::1"]]);
    let asked = Rc::clone(&names.asked);
    let (resolver, waits) = (resolver(names), Waits::default());
    for port in [80, 8080] {
        let found = resolver.addresses(&Arc::from("cus_1"), "example.test", port, &waits).await.expect("an answer");
        assert_eq!(found.iter().map(SocketAddr::port).collect::<Vec<_>>(), [port, port]);
    }
    assert_eq!(asked.get(), 1);
}

#[actix_rt::test]
async fn an_address_needs_no_name_server() {
    let names = Scripted::new(&[&[]]);
    let asked = Rc::clone(&names.asked);
    let (resolver, waits) = (resolver(names), Waits::default());
    for (host, address) in [("[::1]", "[::1]:80"), ("127.0.0.1", "127.0.0.1:80")] {
        let address: SocketAddr = address.parse().expect("an address");
        let found = resolver.addresses(&Arc::from("cus_1"), host, 80, &waits).await;
        assert_eq!(found.expect("itself"), [address]);
    }
    assert_eq!(asked.get(), 0);
    assert!(look_up(&resolver, "cus_1", "example.test").await.0.is_err(), "no address is an error");
}

#[actix_rt::test]
async fn all_who_want_a_name_share_one_look_up_and_its_failure() {
    let names = Hole::default();
    let resolver = resolver(names.clone());
    let all = join_all((0..600).map(|n| {
        let resolver = resolver.clone();
        async move { look_up(&resolver, &format!("cus_{}", n % 3), "x.hole").await.0 }
    }));
    let results = all.await;
    assert!(results.iter().all(|result| *result == Err(NameFailure::TimedOut)));
    assert_eq!(names.asked.borrow().len(), 1);
    assert_eq!(look_up(&resolver, "cus_1", "x.hole").await.0, Err(NameFailure::TimedOut), "and it is remembered");
    assert_eq!(names.asked.borrow().len(), 1);
}

#[actix_rt::test]
async fn names_of_one_customer_that_nobody_answers_for_hold_up_no_other_customer() {
    let names = Hole::default();
    let resolver = resolver(names.clone());
    for n in 0..500 {
        let resolver = resolver.clone();
        actix_rt::spawn(async move { look_up(&resolver, "attacker", &format!("x{n}.hole")).await });
    }
    tokio::time::sleep(Duration::from_millis(10)).await;
    for n in 0..50 {
        let (found, waited) = look_up(&resolver, "victim", &format!("healthy{n}.test")).await;
        assert!(found.is_ok());
        assert!(waited < TIMEOUT / 2, "it waits for no look-up of others: {waited:?}");
    }
    assert!(names.most_under_way.get() <= 8, "{} at once", names.most_under_way.get());
}

#[actix_rt::test]
async fn waiting_for_a_share_is_no_part_of_the_look_up() {
    let resolver = resolver(Hole::default());
    let all = join_all((0..40).map(|n| {
        let resolver = resolver.clone();
        async move { look_up(&resolver, "cus_1", &format!("x{n}.hole")).await }
    }));
    let (started, results) = (clock::now(), all.await);
    let took = clock::now() - started;
    assert!(took > 4 * TIMEOUT, "they wait for each other");
    assert!(results.iter().all(|(result, _)| *result == Err(NameFailure::TimedOut)));
    let longest = results.iter().map(|(_, waited)| *waited).max().expect("many");
    assert!(longest > 3 * TIMEOUT && longest < took - TIMEOUT / 2, "all but its own look-up: {longest:?} of {took:?}");
}

#[actix_rt::test]
async fn a_look_up_that_one_customer_waits_for_is_begun_by_another_that_has_a_share() {
    let names = Hole::default();
    let resolver = resolver(names.clone());
    for n in 0..100 {
        let resolver = resolver.clone();
        actix_rt::spawn(async move { look_up(&resolver, "attacker", &format!("x{n}.hole")).await });
    }
    let other = resolver.clone();
    let behind = actix_rt::spawn(async move { look_up(&other, "attacker", "shared.test").await.0 });
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert!(!behind.is_finished());
    assert!(look_up(&resolver, "victim", "shared.test").await.0.is_ok());
    assert!(behind.await.expect("no panic").is_ok(), "both have its answer");
    assert_eq!(names.asked.borrow().iter().filter(|name| *name == "shared.test").count(), 1);
}

#[actix_rt::test]
async fn a_look_up_is_over_at_its_deadline_whoever_waited_for_it() {
    let names = Hole::default();
    let resolver = resolver(names.clone());
    let other = resolver.clone();
    let waiting = actix_rt::spawn(async move { look_up(&other, "cus_1", "x.hole").await });
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(names.under_way.get(), 1);
    waiting.abort();
    while names.under_way.get() > 0 {
        tokio::time::sleep(TIMEOUT / 4).await;
    }
    assert!(resolver.shared.lookups.borrow().is_empty());
}

#[actix_rt::test]
async fn addresses_in_use_are_looked_up_again_before_they_are_too_old() {
    let names = Scripted::new(&[&["192.0.2.1"]]);
    let resolver = resolver(names);
    let before = Found { addresses: vec![IpAddr::from([192, 0, 2, 9])], ttl: limits().fresh_max };
    let long_ago = clock::now() - limits().fresh_max.mul_f64(0.85);
    assert!(resolver.shared.names.borrow_mut().found("example.test", before, long_ago).is_ok());
    let first = look_up(&resolver, "cus_1", "example.test").await.0.expect("found");
    assert_eq!(first[0].ip(), IpAddr::from([192, 0, 2, 9]), "nobody waits for it");
    while look_up(&resolver, "cus_1", "example.test").await.0 == Ok(first.clone()) {
        tokio::task::yield_now().await;
    }
}
