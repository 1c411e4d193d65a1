//! ○ Shapes of dead letters and replays.

use serde_json::{Value, json};

use super::{Schemas, created_at};
use crate::{
    admin::openapi::schema::{
        count, described, flag, id, list, of, or_null, page, page_with, plain, time, whole, word,
    },
    model::disposition::Reason,
};

pub(super) fn answers() -> Schemas {
    let done = |member: &'static str, about: &'static str| described(&[(member, count(), about), more()], &[]);
    let redriving = described(
        &[
            ("redriving", count(), "Letters that are tried again."),
            more(),
            ("requested_at", time(), "Pass it as since to read how it goes."),
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

fn more() -> (&'static str, Value, &'static str) {
    ("more", flag(), "Ask again for the rest.")
}

fn letter() -> Value {
    let header = described(
        &[
            ("name", plain(), "The header's name."),
            ("value", or_null(plain()), "Its value; null for none."),
            ("value_base64", plain(), "In place of value, where it is no UTF-8."),
        ],
        &["value", "value_base64"],
    );
    described(
        &[
            ("id", id("dl_"), "Its id."),
            ("endpoint_id", or_null(plain()), "The endpoint; null for a record that never got as far as one."),
            ("customer_id", or_null(plain()), "The endpoint's customer."),
            ("topic", plain(), "The record's topic."),
            ("partition", count(), "The record's partition."),
            ("offset", whole(), "The record's offset."),
            ("timestamp", or_null(time()), "The record's timestamp."),
            ("occurred_at", or_null(time()), "The time that the event says of itself."),
            ("webhook_id", or_null(plain()), "The event's id at its endpoint."),
            ("event_id", or_null(plain()), "The producer's own id."),
            ("type", or_null(plain()), "The event's type."),
            ("tenant", or_null(plain()), "The event's tenant."),
            ("department", or_null(plain()), "The event's department."),
            ("reason", word(&Reason::ALL.map(Reason::as_str)), "The reason for which it was given up."),
            ("attempts", count(), "Attempts that were made."),
            ("last_status", or_null(count()), "The status of the last answer."),
            ("last_class", or_null(plain()), "The kind of the last answer or failure."),
            ("last_excerpt", or_null(plain()), "The beginning of the last answer."),
            ("received_at", time(), "The time at which the record was received."),
            created_at(),
            ("state", word(&["dead", "redriving"]), "Whether it is tried again."),
            ("redrive_requested_at", or_null(time()), "The time at which that was asked for."),
            ("data_bytes", count(), "Bytes of the record's value."),
            ("key", or_null(plain()), "The record's key; null where it has none."),
            ("key_base64", plain(), "In place of key, where it is no UTF-8."),
            ("data", json!({}), "The record's value, where it is JSON; null is a tombstone."),
            ("data_base64", plain(), "In place of data, where the value is anything else."),
            ("headers", list(header), "The record's headers."),
        ],
        &["key", "key_base64", "data", "data_base64", "headers"],
    )
}

fn letters() -> Value {
    let resume = "Comes back later: as cursor it goes on with whatever was not shown before, however late it was written. \
        A letter that may still have others before it is shown again. null as long as there is nothing to go past.";
    page_with(of("DeadLetter"), &[("resume_cursor", or_null(plain()), resume)], &[])
}

fn progress() -> Value {
    described(
        &[
            ("delivered", count(), "Their endpoint answered 2xx."),
            ("waiting", count(), "On their way, or waiting for the endpoint to take events."),
            ("dead_again", count(), "Given up again."),
            ("cancelled", count(), "The endpoint no longer subscribes to them; they are dead letters as before."),
        ],
        &[],
    )
}

fn replay() -> Value {
    let sums = [
        ("events_sent", count(), "Events that were sent so far."),
        ("gap_offsets", count(), "Offsets that Kafka no longer has."),
    ];
    let share = [
        ("partition", count(), "The partition's number."),
        ("from_offset", whole(), "The first offset."),
        ("to_offset", whole(), "The last offset."),
        ("next_offset", whole(), "The offset that is read next."),
        ("delivered", count(), "Events that the endpoint took."),
        ("backlogged", count(), "Events that wait in the backlog."),
        ("dead_lettered", count(), "Events that were given up."),
        ("begins_at_log_start", flag(), "The range begins where the log begins: what was there before is not known."),
    ];
    let share = described(&[share.to_vec(), sums.to_vec()].concat(), &[]);
    let replay = [
        ("id", id("rep_"), "Its id."),
        ("endpoint_id", plain(), "The endpoint that gets the events."),
        ("topic", plain(), "The topic."),
        ("from_time", or_null(time()), "The first time of the range, where it is one of times."),
        ("to_time", or_null(time()), "The last time of the range."),
        ("state", word(&["waiting", "running", "done", "cancelled"]), "How far it is."),
        created_at(),
        ("cancelled_at", or_null(time()), "The time at which it was cancelled."),
        ("cancel_reason", or_null(plain()), "The cause of that."),
        ("partitions", list(share), "Its part of each partition."),
    ];
    described(&[replay.to_vec(), sums.to_vec()].concat(), &[])
}
