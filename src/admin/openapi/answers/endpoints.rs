//! ○ Shapes of endpoints, of what waits for them, and of how they answered.

use serde_json::{Value, json};

use super::{Schemas, bulk, created_at, listed, state, uid, updated_at, version};
use crate::{
    admin::openapi::schema::{
        about, count, described, flag, id, list, object, of, or_null, page_with, plain, time, whole, with, word,
    },
    api::{endpoint::EndpointSettings, shape},
};

pub(super) fn answers() -> Schemas {
    let members = endpoint();
    let mut one = members.clone();
    one["secrets_unreadable"] = about(
        json!({"type": "boolean", "const": true}),
        "The service has another key than the one that these were sealed with: what comes waits, until the right key is back \
         or auth and secret are PUT again.",
    );
    let mut with_secret = members.clone();
    with_secret["secret"] = about(plain(), "The signing secret, shown this once.");
    let mut listed_members = members;
    listed_members["health"] = about(of("Health"), "How it does, where that was asked for.");
    listed_members["customer"] = about(of("CustomerName"), "Its customer, where that was asked for.");
    let written = [
        ("id", id("ep_"), "The endpoint's id."),
        ("secret", plain(), "The signing secret of a new endpoint, shown this once."),
    ];
    vec![
        ("AuthView", auth()),
        ("Endpoint", object(one, &["secrets_unreadable"])),
        ("NewEndpoint", object(with_secret, &[])),
        ("ListedEndpoint", object(listed_members, &["health", "customer"])),
        ("EndpointPage", listed("ListedEndpoint", "ep_")),
        ("EndpointsWritten", bulk(&written, &["secret"])),
        ("Backlog", backlog()),
        ("Purged", purged()),
        ("Tested", tested()),
        ("Attempt", attempt()),
        ("AttemptPage", attempts()),
    ]
}

fn endpoint() -> Value {
    let members = described(
        &[
            ("id", id("ep_"), "Its id."),
            uid(),
            ("customer_id", id("cus_"), "The customer whose endpoint it is."),
            ("state", state(), "Its state."),
            ("state_reason", plain(), "The author of the state: the API, or the rule that set it."),
            ("suspended_at", or_null(time()), "Over its quota since then: what comes is skipped, and noted as a gap."),
            ("url", plain(), "The address of its events."),
            ("auth", of("AuthView"), "The part of its authentication that may be shown."),
            version(),
            created_at(),
            updated_at(),
        ],
        &[],
    );
    with(members["properties"].clone(), shape::given::<EndpointSettings>()["properties"].take())
}

fn auth() -> Value {
    let kind = |word: &str| ("type", json!({"type": "string", "const": word}), "The kind of authentication.");
    let auth = json!({"oneOf": [
        described(&[kind("none")], &[]),
        described(&[kind("basic"), ("username", plain(), "The name.")], &[]),
        described(&[kind("bearer")], &[]),
        described(&[kind("headers"), ("names", list(plain()), "Names of the headers.")], &[]),
        described(
            &[
                kind("oauth2"),
                ("token_url", plain(), "The address of the token server."),
                ("client_id", plain(), "The client's id."),
                ("scope", or_null(plain()), "The scope that is asked for."),
                ("audience", or_null(plain()), "The audience that is asked for."),
                ("style", word(&["basic", "body"]), "The place of id and secret in the request for a token."),
            ],
            &[],
        ),
        described(
            &[kind("mutual_tls"), ("certificate_sha256", plain(), "The SHA-256 of the certificate, in hexadecimal.")],
            &[],
        ),
    ]});
    about(auth, "The part of an authentication that may be shown: never a secret.")
}

fn place() -> [(&'static str, Value, &'static str); 2] {
    [("topic", plain(), "The topic."), ("partition", count(), "The partition's number.")]
}

fn backlog() -> Value {
    let amount = [
        ("events", count(), "Events that wait."),
        ("bytes", count(), "Bytes that wait."),
        ("oldest_received_at", or_null(time()), "The time at which the oldest of them was received."),
    ];
    let part = described(&[place().to_vec(), amount.to_vec()].concat(), &[]);
    let gap = [
        ("from_offset", whole(), "The first offset that was skipped."),
        ("end_offset", or_null(whole()), "The offset after the last one that was skipped; null while it goes on."),
        ("events", count(), "Events that were skipped."),
        ("since", time(), "The time at which it began."),
    ];
    let gap = described(&[place().to_vec(), gap.to_vec()].concat(), &[]);
    let rest = [
        ("oldest_given_up_at", or_null(time()), "The oldest event becomes a dead letter then, if it still waits."),
        ("partitions", list(part), "The same by partition."),
        ("suspended_at", or_null(time()), "Over its quota since then."),
        ("gaps", list(gap), "Events that were skipped while it was over its quota; a replay sends them."),
    ];
    let id = [("endpoint_id", id("ep_"), "The endpoint.")];
    described(&[id.to_vec(), amount.to_vec(), rest.to_vec()].concat(), &[])
}

fn purged() -> Value {
    described(
        &[
            ("endpoint_id", id("ep_"), "The endpoint."),
            ("purged_events", count(), "Events that were thrown away."),
            ("purged_bytes", count(), "Their bytes."),
            ("events", count(), "Events that are left."),
            ("finished", flag(), "Whether all that was meant is gone; ask again where it is not."),
        ],
        &[],
    )
}

fn outcome() -> [(&'static str, Value, &'static str); 5] {
    [
        ("outcome", plain(), "The meaning of the answer: delivered, rejected, failed, …"),
        ("status", or_null(count()), "The answer's status, where there was one."),
        ("class", plain(), "The kind of answer or failure."),
        ("duration_ms", count(), "Time from the request to the end of the answer."),
        ("excerpt", plain(), "The beginning of the answer."),
    ]
}

fn tested() -> Value {
    let head = [
        ("endpoint_id", id("ep_"), "The endpoint."),
        ("state", state(), "Its state."),
        ("webhook_id", plain(), "The id of the test event."),
        ("type", plain(), "The type of the test event."),
    ];
    described(&[head.to_vec(), outcome().to_vec()].concat(), &[])
}

fn attempt() -> Value {
    let member = described(
        &[
            ("webhook_id", plain(), "The event's id at its endpoint."),
            ("event_id", or_null(plain()), "The producer's own id."),
            ("topic", plain(), "The topic."),
            ("partition", count(), "The partition's number."),
            ("offset", whole(), "The record's offset."),
        ],
        &["webhook_id"],
    );
    let rest = [
        ("id", plain(), "The attempt's id."),
        ("endpoint_id", plain(), "The endpoint."),
        ("ended_at", time(), "The time of its end."),
        ("webhook_id", plain(), "The id of the request: of the event, or of the batch."),
        ("events", count(), "Events in the request."),
        ("first_events", list(member), "The first of them."),
        ("attempt", count(), "The number of the attempt, from 1."),
        ("next", plain(), "The disposition: ended, retry, backlog, or dead_letter."),
        ("next_at", or_null(time()), "The time of the next attempt."),
        ("stands_for", count(), "Successes are sampled: this one stands for so many."),
    ];
    described(&[rest.to_vec(), outcome().to_vec()].concat(), &[])
}

fn attempts() -> Value {
    let counts = ("counts", of("Counts"), "How many there were, where that was asked for.");
    page_with(of("Attempt"), &[counts], &["counts"])
}
