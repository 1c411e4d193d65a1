//! ● Receivers whose TLS is not to be trusted.

use std::sync::Arc;

use rand::rngs::SmallRng;
use serde_json::json;

use crate::{
    harness::{
        Front, Misbehavior, Mode, Receiver, TestApp, eventually_holds,
        tls::{Authority, Certified, self_signed, server_config},
    },
    row::Outcome,
    setup::LANES,
};

/// Row 42
pub fn tls_not_to_be_trusted(_: &mut SmallRng) -> Outcome {
    const HOST: &str = "127.0.0.1";
    let (known, unknown) = (Authority::new(), Authority::new());
    let app = TestApp::named("fault-42").lanes(LANES).set("DELIVERY_PARK_AFTER_MS", 2_000).start();
    let fronts = [
        ("sound", shown(&known.issue(HOST))),
        ("truncated", shown(&known.issue(HOST))),
        ("expired", shown(&known.issue_expired(HOST))),
        ("other-name", shown(&known.issue("other.example"))),
        ("other-roots", shown(&unknown.issue(HOST))),
        ("self-signed", shown(&self_signed(HOST))),
        ("old", Front::OldTls),
    ];
    let settings = json!({"mode": "stream", "tls": {"ca": known.certificate}});
    let met = fronts.map(|(name, front)| {
        let receiver = Receiver::start();
        receiver.meet(front);
        let endpoint = app.subscribed_endpoint(&receiver.https_hook(name), settings.clone());
        (receiver, endpoint)
    });
    let (sound, truncated) = (&met[0].1, &met[1].1);
    truncated.hook.set(Mode::Misbehavior(Misbehavior::ResetInBody));
    let audit = met.iter().fold(app.audit(), |audit, (_, endpoint)| audit.expect_all(endpoint)).watch_commits();
    app.produce(200);
    eventually_holds("the sound one gets all", || sound.hook.accepted_count() == 200);
    let findings = audit.settle();
    for (receiver, endpoint) in &met {
        assert_eq!(receiver.plain_connections(), 0, "nobody falls back to plain text: {:?}", endpoint.hook);
    }
    assert_eq!(findings.delivered, 200, "half an answer is none");
    for (_, endpoint) in &met[2..] {
        assert_eq!(endpoint.hook.requests_count(), 0, "nothing is said to a stranger: {:?}", endpoint.hook);
        let actors = app.rest().get("/v1/actors").ok().json();
        let own = actors["data"].as_array().into_iter().flatten().find(|actor| actor["id"] == *endpoint.id);
        let class = own.map(|actor| actor["last_error"]["class"].clone());
        assert_eq!(class, Some(json!("tls")), "{:?}", endpoint.hook);
    }
    Outcome::of(findings).at_most(0)
}

/// Speaks TLS, and shows this.
fn shown(own: &Certified) -> Front {
    Front::Tls(Arc::new(server_config(own, None)))
}
