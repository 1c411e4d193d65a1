//! ○ Ids of events and of batches.

use super::*;

#[track_caller]
fn check_own_id(own: &str, expected: &str) {
    let fields = Fields { id: owned(own), ..Fields::default() };
    let request = streamed(Format::Envelope, &event_with(7, Some(b"1"), fields));
    assert_eq!(request.webhook_id, expected);
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["id"], expected);
}

#[test]
fn an_own_id_is_kept_as_far_as_a_header_and_a_signature_can_hold_it() {
    check_own_id("order-1:paid/EUR", "order-1:paid/EUR");
    check_own_id("a.b", "a%2Eb");
    check_own_id("a%2Eb", "a%252Eb");
    check_own_id("a\r\nx-forged: 1", "a%0D%0Ax-forged:%201");
    check_own_id("ü\u{0}\u{7f}", "%C3%BC%00%7F");
    check_own_id("\"\\", "%22%5C");
    let digest = ring::digest::digest(&ring::digest::SHA256, &[b'x'; 129]);
    let hex: String = digest.as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    check_own_id(&"x".repeat(129), &format!("own_{hex}"));
}

#[test]
fn an_id_is_of_the_place_in_kafka_and_of_the_endpoint() {
    let at = |offset, endpoint: &str| {
        let mut settings = settings(Mode::Stream, Format::Raw, BatchFormat::JsonArray);
        settings.id = endpoint.into();
        let empty_id = Fields { id: owned(""), ..Fields::default() };
        build([&event_with(offset, None, empty_id)].into_iter(), &settings, AT_MS).webhook_id
    };
    let id = at(7, "ep_1");
    assert!(id.starts_with("evt_") && id.len() == 36, "{id}");
    assert_eq!(id, at(7, "ep_1"));
    assert_ne!(id, at(8, "ep_1"));
    assert_ne!(id, at(7, "ep_2"));
}

#[test]
fn a_producers_own_id_and_a_key_arrive_as_they_were_written() {
    let long = "x".repeat(300);
    for own in ["order.created.1", "a\r\nb", "ü", long.as_str()] {
        let fields = Fields { id: owned(own), ..Fields::default() };
        let request = streamed(Format::Envelope, &keyed_event(7, Some(own.as_bytes()), None, fields));
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!((&body["event_id"], &body["key"]), (&json!(own), &json!(own)));
    }
    let request = streamed(Format::Envelope, &keyed_event(7, Some(b"\xff\x00"), None, Fields::default()));
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!((body.get("key"), &body["key_base64"]), (None, &json!("/wA=")));
}

#[test]
fn a_batchs_id_is_of_its_members_in_their_order() {
    let events: Vec<_> = (0..3).map(|offset| event_with(offset, None, Fields::default())).collect();
    let id = |events: &[Arc<Event>]| batched(Format::Raw, BatchFormat::Ndjson, events).webhook_id;
    assert!(id(&events).starts_with("bat_") && id(&events).len() == 36);
    assert_eq!(id(&events), id(&events));
    assert_ne!(id(&events), id(&events[..2]));
    assert_ne!(id(&events[..2]), id(&[events[1].clone(), events[0].clone()]));
}

/// The ids are a promise to receivers: they must not change from one version of Postrider to the next.
/// Computed with Python's hashlib.
#[test]
fn ids_stay_what_they_are() {
    let event = event_with(7, None, Fields::default());
    assert_eq!(streamed(Format::Raw, &event).webhook_id, "evt_53fd898ec79253d81bcd93fdfe58ee8f");
    assert_eq!(batched(Format::Raw, BatchFormat::Ndjson, &[event]).webhook_id, "bat_d4d25e2a457a1671e9f673f6cd78536d");
}
