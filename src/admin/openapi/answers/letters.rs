//! ○ Shapes of dead letters and replays.

use serde_json::{Value, json};

use super::{Schemas, created_at};
use crate::{
    admin::openapi::schema::{
        ObjectMember, count, described, flag, id, list, member, of, or_null, page, page_with, plain, time, whole, word,
    },
    model::disposition::Reason,
};

pub(super) fn answers() -> Schemas {
    let done = |name, about| described(&[member(name, count(), about), more()], &[]);
    let redriving = described(
        &[
            member("redriving", count(), "Letters that are tried again."),
            more(),
            member("requested_at", time(), "Pass it as since to read how it goes."),
        ],
        &[],
    );
    vec![
        ("DeadLetter", letter()),
        ("DeadLetterPage", letters()),
        ("Acknowledged", done("acknowledged", "Letters that were removed.")),
        ("Redriving", redriving),
        ("RedriveProgress", progress()),
        ("Replay", replay()),
        ("ReplayPage", page(of("Replay"))),
    ]
}

fn more() -> ObjectMember {
    member("more", flag(), "Ask again for the rest.")
}

fn letter() -> Value {
    let header = described(
        &[
            member("name", plain(), "The header's name."),
            member("value", or_null(plain()), "Its value; null for none."),
            member("value_base64", plain(), "In place of value, where it is no UTF-8."),
        ],
        &["value", "value_base64"],
    );
    described(
        &[
            member("id", id("dl_"), "Its id."),
            member("endpoint_id", or_null(plain()), "The endpoint; null for a record that never got as far as one."),
            member("customer_id", or_null(plain()), "The endpoint's customer."),
            member("topic", plain(), "The record's topic."),
            member("partition", count(), "The record's partition."),
            member("offset", whole(), "The record's offset."),
            member("timestamp", or_null(time()), "The record's timestamp."),
            member("occurred_at", or_null(time()), "The time that the event says of itself."),
            member("webhook_id", or_null(plain()), "The event's id at its endpoint."),
            member("event_id", or_null(plain()), "The producer's own id."),
            member("type", or_null(plain()), "The event's type."),
            member("tenant", or_null(plain()), "The event's tenant."),
            member("department", or_null(plain()), "The event's department."),
            member("reason", word(&Reason::ALL.map(Reason::as_str)), "The reason for which it was given up."),
            member("attempts", count(), "Attempts that were made."),
            member("last_status", or_null(count()), "The status of the last answer."),
            member("last_class", or_null(plain()), "The kind of the last answer or failure."),
            member("last_excerpt", or_null(plain()), "The beginning of the last answer."),
            member("received_at", time(), "The time at which the record was received."),
            created_at(),
            member("state", word(&["dead", "redriving"]), "Whether it is tried again."),
            member("redrive_requested_at", or_null(time()), "The time at which that was asked for."),
            member("data_bytes", count(), "Bytes of the record's value."),
            member("key", or_null(plain()), "The record's key; null where it has none."),
            member("key_base64", plain(), "In place of key, where it is no UTF-8."),
            member("data", json!({}), "The record's value, where it is JSON; null is a tombstone."),
            member("data_base64", plain(), "In place of data, where the value is anything else."),
            member("headers", list(header), "The record's headers."),
        ],
        &["key", "key_base64", "data", "data_base64", "headers"],
    )
}

fn letters() -> Value {
    let resume = "Comes back later: as cursor it goes on with whatever was not shown before, however late it was written. \
        A letter that may still have others before it is shown again. null as long as there is nothing to go past.";
    page_with(of("DeadLetter"), &[member("resume_cursor", or_null(plain()), resume)], &[])
}

fn progress() -> Value {
    described(
        &[
            member("delivered", count(), "Their endpoint answered 2xx."),
            member("waiting", count(), "On their way, or waiting for the endpoint to take events."),
            member("dead_again", count(), "Given up again."),
            member("cancelled", count(), "The endpoint no longer subscribes to them; they are dead letters as before."),
        ],
        &[],
    )
}

fn replay() -> Value {
    let sums = [
        member("events_sent", count(), "Events that were sent so far."),
        member("gap_offsets", count(), "Offsets that Kafka no longer has."),
    ];
    let share = [
        member("partition", count(), "The partition's number."),
        member("from_offset", whole(), "The first offset."),
        member("to_offset", whole(), "The last offset."),
        member("next_offset", whole(), "The offset that is read next."),
        member("delivered", count(), "Events that the endpoint took."),
        member("backlogged", count(), "Events that wait in the backlog."),
        member("dead_lettered", count(), "Events that were given up."),
        member(
            "begins_at_log_start",
            flag(),
            "The range begins where the log begins: what was there before is not known.",
        ),
    ];
    let share = described(&[share.to_vec(), sums.to_vec()].concat(), &[]);
    let replay = [
        member("id", id("rep_"), "Its id."),
        member("endpoint_id", plain(), "The endpoint that gets the events."),
        member("topic", plain(), "The topic."),
        member("from_time", or_null(time()), "The first time of the range, where it is one of times."),
        member("to_time", or_null(time()), "The last time of the range."),
        member("state", word(&["waiting", "running", "done", "cancelled"]), "How far it is."),
        created_at(),
        member("cancelled_at", or_null(time()), "The time at which it was cancelled."),
        member("cancel_reason", or_null(plain()), "The cause of that."),
        member("partitions", list(share), "Its part of each partition."),
    ];
    described(&[replay.to_vec(), sums.to_vec()].concat(), &[])
}
