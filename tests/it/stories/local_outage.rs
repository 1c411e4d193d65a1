//! ● When nobody can be reached the trouble is ours: nobody is blamed, and Kafka keeps what is not read.

use std::net::Ipv4Addr;

use serde_json::json;

use crate::harness::{Endpoint, Receiver, Record, TestApp, eventually_holds, link::Link};

/// Three customers at three addresses, each behind a wire of its own.
fn three_customers(app: &TestApp, receiver: &Receiver) -> Vec<(Endpoint, Link)> {
    let customer = |n: u8| {
        let hook = receiver.hook(&format!("customer{n}"));
        let link = Link::at(Ipv4Addr::new(127, 1, n, 1), &receiver.address());
        let url = format!("http://{}/customer{n}", link.address());
        let settings = json!({"customer_id": app.new_customer(), "url": url, "mode": "stream"});
        (app.subscribed_endpoint(&hook, settings), link)
    };
    (1..=3).map(customer).collect()
}

#[test]
fn when_the_way_out_is_cut_partitions_pause_and_nobody_is_blamed_and_then_everything_arrives() {
    let app = TestApp::named("cut").set("HTTP_CONNECT_TIMEOUT_MS", 300).start();
    let receiver = Receiver::start();
    let customers = three_customers(&app, &receiver);
    let audit = customers.iter().fold(app.audit(), |audit, (endpoint, _)| audit.expect_all(endpoint)).watch_commits();
    let load = app.load(200);
    eventually_holds("events flow", || customers.iter().all(|(endpoint, _)| endpoint.hook.accepted_count() > 100));

    customers.iter().for_each(|(_, link)| link.vanish());
    eventually_holds("the trouble is known as ours", || app.rest().metric("postrider_local_outage") == 1.0);
    app.produce(8_000);
    eventually_holds("partitions pause", || app.rest().metric("postrider_partitions_paused") == 4.0);
    load.stop();
    let unread = app.produced.count() as f64 - app.rest().metric("postrider_kafka_consumed_total");
    assert!(unread > 4_000.0, "Kafka keeps what is not read, and only {unread} events were not");
    assert_eq!(app.rest().get("/readyz").status, 200, "another instance could do no better");
    let actors = app.rest().get("/v1/actors").ok().json();
    assert!(actors.to_string().contains("held_back"), "{actors}");

    customers.iter().for_each(|(_, link)| link.come_back());
    let findings = audit.close();
    println!("cut off: {findings}");
    assert_eq!(findings.dead_letters, 0, "nobody was blamed");
    assert_eq!(app.rest().metric("postrider_local_outage"), 0.0);
    eventually_holds("all partitions go on", || app.rest().metric("postrider_partitions_paused") == 0.0);
    eventually_holds("no breaker stays open", || app.rest().metric("postrider_breaker_endpoints") == 0.0);
}

#[test]
fn a_few_dead_customers_and_nobody_else_busy_may_look_like_it_and_keep_no_healthy_one_waiting() {
    let app = TestApp::start("dead");
    for site in ["one", "two", "three"] {
        let hook = Receiver::start().hook("dead");
        // RFC 6761: such a name has no address.
        let url = format!("http://hooks.{site}.invalid/");
        let endpoint = app.endpoint(&hook, json!({"customer_id": app.new_customer(), "url": url, "mode": "stream"}));
        app.subscribe(&endpoint, json!({"level": "tenants", "tenants": ["dead"]}));
    }
    let receiver = Receiver::start();
    let healthy = app.endpoint(&receiver.hook("healthy"), json!({"mode": "stream"}));
    app.subscribe(&healthy, json!({"level": "tenants", "tenants": ["healthy"]}));
    app.await_settings();
    app.produce_one(&Record { tenant: Some("dead"), ..Record::default() });
    eventually_holds("it looks like our own trouble", || app.rest().metric("postrider_local_outage") == 1.0);
    let seq = app.produce_one(&Record { tenant: Some("healthy"), ..Record::default() });
    eventually_holds("the healthy one gets its event", || healthy.hook.accepted(seq) == 1);
}
