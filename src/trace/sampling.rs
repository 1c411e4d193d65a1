//! ○ The events that are traced, and by which ids. It follows from an event's place in Kafka alone: whoever meets it again (out
//! of the backlog, redriven, replayed, after a crash) decides the same and goes on with the same trace.

use ring::digest::{SHA256, digest};

use super::context::TraceContext;
use crate::model::event::KafkaPosition;

/// True if an event is traced. What its producer decided holds; where it decided nothing, one event in `sample_every` is
/// (0: none).
#[must_use]
pub fn is_chosen(producer: Option<&TraceContext>, position: KafkaPosition<'_>, sample_every: u64) -> bool {
    match producer {
        Some(context) => context.sampled,
        None => {
            let seed = (position.offset as u64).wrapping_add((position.partition as u64).rotate_left(40));
            sample_every != 0
                && scattered(seed ^ (position.record_ms as u64).rotate_left(20)).is_multiple_of(sample_every)
        }
    }
}

/// The trace of an event whose producer named none.
#[must_use]
pub fn trace_id(position: KafkaPosition<'_>) -> [u8; 16] {
    let mut text = Vec::with_capacity(position.topic.len() + 20);
    text.extend_from_slice(&position.partition.to_le_bytes());
    text.extend_from_slice(&position.offset.to_le_bytes());
    text.extend_from_slice(&position.record_ms.to_le_bytes());
    text.extend_from_slice(position.topic.as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&digest(&SHA256, &text).as_ref()[..16]);
    id
}

/// The `number`th span below another one (or below any number that is its own). Never all zeros.
#[must_use]
pub fn span_below(above: u64, number: u64) -> u64 {
    scattered(above ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).max(1)
}

/// SplitMix64's last steps: neighbours end far apart.
fn scattered(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn place(partition: i32, offset: i64) -> KafkaPosition<'static> {
        KafkaPosition { topic: "orders", partition, offset, record_ms: 1_700_000_000_000 }
    }

    #[test]
    fn about_one_event_in_so_many_is_traced_whatever_the_partition() {
        for partition in [0, 1, 63] {
            let chosen = (0..100_000).filter(|offset| is_chosen(None, place(partition, *offset), 100)).count();
            assert!((800..1_200).contains(&chosen), "{chosen} of 100,000 in partition {partition}");
        }
        assert!((0..1_000).all(|offset| is_chosen(None, place(0, offset), 1)));
        assert!(!(0..1_000).any(|offset| is_chosen(None, place(0, offset), 0)));
    }

    #[test]
    fn what_its_producer_decided_holds() {
        let context = |sampled| TraceContext { trace_id: [1; 16], span_id: [1; 8], sampled };
        assert!(is_chosen(Some(&context(true)), place(0, 1), 0));
        assert!(!is_chosen(Some(&context(false)), place(0, 1), 1));
    }

    #[test]
    fn each_event_has_a_trace_and_each_span_an_id_of_its_own() {
        let ids: HashSet<[u8; 16]> = (0..1_000).map(|offset| trace_id(place((offset % 3) as i32, offset))).collect();
        assert_eq!(ids.len(), 1_000);
        assert_eq!(trace_id(place(1, 7)), trace_id(place(1, 7)), "and the same one whenever it is met");
        let spans: HashSet<u64> = (0..1_000).map(|number| span_below(42, number)).collect();
        assert_eq!(spans.len(), 1_000);
        assert!(!spans.contains(&0));
    }
}
