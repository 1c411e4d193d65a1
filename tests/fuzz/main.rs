//! ○ The fuzzers' checks, on a few inputs of any kind: `fuzz/` is a workspace of another compiler, which nobody builds in
//! passing, so what it calls stands here, where a name that changes is noticed.

mod decode;
mod headers;
mod request;
mod retry_after;
mod url;

use proptest::prelude::*;

/// A text of some of the bytes that mean something somewhere.
fn text() -> impl Strategy<Value = String> {
    let known =
        prop::sample::select(vec!["a", "0", "/", ":", "@", "?", "#", "[", "]", "%", ".", "-", " ", "\n", "\u{0}", "é"]);
    let known = prop::collection::vec(known, 0..12).prop_map(|parts| parts.concat());
    prop_oneof![known, any::<String>()]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![text().prop_map(String::into_bytes), any::<Vec<u8>>(), Just(br#"{"a":[{"b":"x"}]}"#.to_vec())]
}

fn header() -> impl Strategy<Value = (Vec<u8>, Option<Vec<u8>>)> {
    (bytes(), prop::option::of(bytes()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn decoding_ends(
        key in prop::option::of(bytes()), value in prop::option::of(bytes()), headers in prop::collection::vec(header(), 0..4),
        timestamp_ms in any::<i64>(), places in any::<[u8; 5]>(), pointer in text(), name in text(),
    ) {
        let headers = headers.iter().map(|(name, value)| (name.as_slice(), value.as_deref())).collect();
        let (key, value) = (key.as_deref(), value.as_deref());
        decode::check(&decode::Input { key, value, headers, timestamp_ms, places, pointer: &pointer, name: &name });
    }

    #[test]
    fn headers_can_be_sent(headers in prop::collection::vec((text(), text()), 0..4), username in text(), password in text()) {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        headers::check(&headers, &username, &password);
    }

    #[test]
    fn a_request_of_two_events_is_two_events(
        values in any::<[Option<Vec<u8>>; 2]>(), ids in (bytes(), bytes()), tenant in bytes(), raw in any::<bool>(), ndjson in any::<bool>(),
    ) {
        let values = values.each_ref().map(|value| value.as_deref());
        request::check(&request::Input { values, ids: [&ids.0, &ids.1], tenant: &tenant, raw, ndjson });
    }

    #[test]
    fn an_answer_is_classified(status in 100_u16..1_000, retry_after in prop::option::of(text()), excerpt in text(), wall_ms in any::<i64>()) {
        retry_after::check(status, retry_after.as_deref(), &excerpt, wall_ms);
    }

    #[test]
    fn an_accepted_url_is_the_one_that_is_sent_to(scheme in prop::sample::select(vec!["https://", "http://", "https:", ""]), rest in text()) {
        url::check(&format!("{scheme}{rest}"));
    }
}
