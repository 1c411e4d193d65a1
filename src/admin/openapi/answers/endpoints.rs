//! ○ Shapes of endpoints, of what waits for them, and of how they answered.

use serde_json::{Value, json};

use super::{Schemas, bulk, created_at, listed, state, uid, updated_at, version};
use crate::{
    admin::openapi::schema::{
        ObjectMember, about, count, described, flag, id, list, member, object, of, or_null, page_with, plain, time,
        whole, with, word,
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
        member("id", id("ep_"), "The endpoint's id."),
        member("secret", plain(), "The signing secret of a new endpoint, shown this once."),
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
            member("id", id("ep_"), "Its id."),
            uid(),
            member("customer_id", id("cus_"), "The customer whose endpoint it is."),
            member("state", state(), "Its state."),
            member("state_reason", plain(), "The author of the state: the API, or the rule that set it."),
            member(
                "suspended_at",
                or_null(time()),
                "Over its quota since then: what comes is skipped, and noted as a gap.",
            ),
            member("url", plain(), "The address of its events."),
            member("auth", of("AuthView"), "The part of its authentication that may be shown."),
            version(),
            created_at(),
            updated_at(),
        ],
        &[],
    );
    with(members["properties"].clone(), shape::given::<EndpointSettings>()["properties"].take())
}

fn auth() -> Value {
    let kind = |word: &str| member("type", json!({"type": "string", "const": word}), "The kind of authentication.");
    let auth = json!({"oneOf": [
        described(&[kind("none")], &[]),
        described(&[kind("basic"), member("username", plain(), "The name.")], &[]),
        described(&[kind("bearer")], &[]),
        described(&[kind("headers"), member("names", list(plain()), "Names of the headers.")], &[]),
        described(
            &[
                kind("oauth2"),
                member("token_url", plain(), "The address of the token server."),
                member("client_id", plain(), "The client's id."),
                member("scope", or_null(plain()), "The scope that is asked for."),
                member("audience", or_null(plain()), "The audience that is asked for."),
                member("style", word(&["basic", "body"]), "The place of id and secret in the request for a token."),
            ],
            &[],
        ),
        described(
            &[kind("mutual_tls"), member("certificate_sha256", plain(), "The SHA-256 of the certificate, in hexadecimal.")],
            &[],
        ),
    ]});
    about(auth, "The part of an authentication that may be shown: never a secret.")
}

fn place() -> [ObjectMember; 2] {
    [member("topic", plain(), "The topic."), member("partition", count(), "The partition's number.")]
}

fn backlog() -> Value {
    let amount = [
        member("events", count(), "Events that wait."),
        member("bytes", count(), "Bytes that wait."),
        member("oldest_received_at", or_null(time()), "The time at which the oldest of them was received."),
    ];
    let part = described(&[place().to_vec(), amount.to_vec()].concat(), &[]);
    let gap = [
        member("from_offset", whole(), "The first offset that was skipped."),
        member(
            "end_offset",
            or_null(whole()),
            "The offset after the last one that was skipped; null while it goes on.",
        ),
        member("events", count(), "Events that were skipped."),
        member("since", time(), "The time at which it began."),
    ];
    let gap = described(&[place().to_vec(), gap.to_vec()].concat(), &[]);
    let rest = [
        member(
            "oldest_given_up_at",
            or_null(time()),
            "The oldest event becomes a dead letter then, if it still waits.",
        ),
        member("partitions", list(part), "The same by partition."),
        member("suspended_at", or_null(time()), "Over its quota since then."),
        member("gaps", list(gap), "Events that were skipped while it was over its quota; a replay sends them."),
    ];
    let id = [member("endpoint_id", id("ep_"), "The endpoint.")];
    described(&[id.to_vec(), amount.to_vec(), rest.to_vec()].concat(), &[])
}

fn purged() -> Value {
    described(
        &[
            member("endpoint_id", id("ep_"), "The endpoint."),
            member("purged_events", count(), "Events that were thrown away."),
            member("purged_bytes", count(), "Their bytes."),
            member("events", count(), "Events that are left."),
            member("finished", flag(), "Whether all that was meant is gone; ask again where it is not."),
        ],
        &[],
    )
}

fn outcome() -> [ObjectMember; 5] {
    [
        member("outcome", plain(), "The meaning of the answer: delivered, rejected, failed, …"),
        member("status", or_null(count()), "The answer's status, where there was one."),
        member("class", plain(), "The kind of answer or failure."),
        member("duration_ms", count(), "Time from the request to the end of the answer."),
        member("excerpt", plain(), "The beginning of the answer."),
    ]
}

fn tested() -> Value {
    let head = [
        member("endpoint_id", id("ep_"), "The endpoint."),
        member("state", state(), "Its state."),
        member("webhook_id", plain(), "The id of the test event."),
        member("type", plain(), "The type of the test event."),
    ];
    described(&[head.to_vec(), outcome().to_vec()].concat(), &[])
}

fn attempt() -> Value {
    let event = described(
        &[
            member("webhook_id", plain(), "The event's id at its endpoint."),
            member("event_id", or_null(plain()), "The producer's own id."),
            member("topic", plain(), "The topic."),
            member("partition", count(), "The partition's number."),
            member("offset", whole(), "The record's offset."),
        ],
        &["webhook_id"],
    );
    let rest = [
        member("id", plain(), "The attempt's id."),
        member("endpoint_id", plain(), "The endpoint."),
        member("ended_at", time(), "The time of its end."),
        member("webhook_id", plain(), "The id of the request: of the event, or of the batch."),
        member("events", count(), "Events in the request."),
        member("first_events", list(event), "The first of them."),
        member("attempt", count(), "The number of the attempt, from 1."),
        member("next", plain(), "The disposition: ended, retry, backlog, or dead_letter."),
        member("next_at", or_null(time()), "The time of the next attempt."),
        member("stands_for", count(), "Successes are sampled: this one stands for so many."),
    ];
    described(&[rest.to_vec(), outcome().to_vec()].concat(), &[])
}

fn attempts() -> Value {
    let counts = member("counts", of("Counts"), "How many there were, where that was asked for.");
    page_with(of("Attempt"), &[counts], &["counts"])
}
