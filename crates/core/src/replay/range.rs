//! ○ The ranges that may be replayed: closed ones, that end where the partition ends or before.

/// A partition's part of what was asked for: both offsets belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestedRange {
    pub partition: i32,
    pub from_offset: i64,
    pub to_offset: i64,
}

/// Beginning and end of a partition now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub partition: i32,
    /// The first offset that Kafka still has.
    pub low: i64,
    /// The live position: the offset of the next record to come.
    pub high: i64,
}

/// A partition's part of a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    pub partition: i32,
    pub from: i64,
    /// The first offset that is not part of it.
    pub end: i64,
    /// It begins where the log begins: a time cannot tell what was there before.
    pub at_log_start: bool,
}

/// A mistake in the part at this place of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeMistake {
    pub place: usize,
    pub field: &'static str,
    pub message: String,
}

/// The shares of ranges that were given as offsets. `to_offset` may be the live position itself: no record is there yet,
/// and the one to come is delivered without a replay.
///
/// # Errors
/// Every range that is not of this topic, is empty by mistake, or reaches beyond the live position.
pub fn of_offsets(asked: &[RequestedRange], extents: &[Extent]) -> Result<Vec<Share>, Vec<RangeMistake>> {
    let (mut shares, mut mistakes): (Vec<Share>, Vec<RangeMistake>) = (Vec::new(), Vec::new());
    for (place, range) in asked.iter().enumerate() {
        let mut wrong = |field, message| mistakes.push(RangeMistake { place, field, message });
        let Some(extent) = extents.iter().find(|extent| extent.partition == range.partition) else {
            wrong("partition", "is no partition of this topic".to_owned());
            continue;
        };
        if asked[..place].iter().any(|other| other.partition == range.partition) {
            wrong("partition", "is there twice".to_owned());
        }
        if range.to_offset > extent.high {
            wrong("to_offset", format!("must be at most {}, where the partition ends now", extent.high));
        } else if range.from_offset > range.to_offset {
            wrong("from_offset", "must be at most to_offset".to_owned());
        }
        let end = range.to_offset.saturating_add(1).min(extent.high);
        let (partition, from) = (range.partition, range.from_offset.min(end));
        shares.push(Share { partition, from, end, at_log_start: false });
    }
    if mistakes.is_empty() { Ok(shares) } else { Err(mistakes) }
}

/// The share of a partition in a range of time, whose beginning Kafka found to be at this offset (`None`: no record is that
/// young). It ends where the partition does: records are not in the order of their times, so of each one behind the first it
/// is its own time that says whether it is wanted (see [`Times`]).
#[must_use]
pub fn of_times(extent: Extent, from: Option<i64>) -> Share {
    let end = extent.high;
    let from = from.unwrap_or(end).min(end);
    let at_log_start = from <= extent.low && extent.low > 0;
    Share { partition: extent.partition, from, end, at_log_start }
}

/// A closed range of time, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    pub from_ms: i64,
    pub to_ms: i64,
}

impl Times {
    #[must_use]
    pub fn contain(self, record_ms: i64) -> bool {
        (self.from_ms..=self.to_ms).contains(&record_ms)
    }

    /// Nothing behind this record is wanted: the broker stamps what it appends, so what follows is later.
    #[must_use]
    pub fn end_before(self, appended_ms: Option<i64>) -> bool {
        appended_ms.is_some_and(|appended_ms| appended_ms > self.to_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXTENTS: [Extent; 2] =
        [Extent { partition: 0, low: 10, high: 100 }, Extent { partition: 1, low: 0, high: 0 }];

    fn asked(partition: i32, from_offset: i64, to_offset: i64) -> RequestedRange {
        RequestedRange { partition, from_offset, to_offset }
    }

    fn share(partition: i32, from: i64, end: i64) -> Share {
        Share { partition, from, end, at_log_start: false }
    }

    #[test]
    fn both_ends_belong_to_a_range_and_the_live_position_ends_it() {
        assert_eq!(of_offsets(&[asked(0, 20, 99)], &EXTENTS), Ok(vec![share(0, 20, 100)]));
        assert_eq!(of_offsets(&[asked(0, 20, 20)], &EXTENTS), Ok(vec![share(0, 20, 21)]));
        assert_eq!(of_offsets(&[asked(0, 20, 100)], &EXTENTS), Ok(vec![share(0, 20, 100)]));
        assert_eq!(of_offsets(&[asked(1, 0, 0)], &EXTENTS), Ok(vec![share(1, 0, 0)]));
    }

    #[test]
    fn what_kafka_no_longer_has_may_be_asked_for_and_will_be_a_gap() {
        assert_eq!(of_offsets(&[asked(0, 0, 50)], &EXTENTS), Ok(vec![share(0, 0, 51)]));
    }

    #[test]
    fn every_range_beyond_the_end_or_of_no_partition_is_named() {
        let ranges = [asked(0, 20, 101), asked(7, 0, 1), asked(0, 50, 40)];
        let mistakes = of_offsets(&ranges, &EXTENTS).expect_err("mistakes");
        let places: Vec<_> = mistakes.iter().map(|mistake| (mistake.place, mistake.field)).collect();
        assert_eq!(places, [(0, "to_offset"), (1, "partition"), (2, "partition"), (2, "from_offset")]);
    }

    #[test]
    fn a_time_younger_than_every_record_is_the_end_and_one_older_may_have_lost_some() {
        assert_eq!(of_times(EXTENTS[0], Some(20)), share(0, 20, 100));
        assert_eq!(of_times(EXTENTS[0], None), share(0, 100, 100));
        assert!(of_times(EXTENTS[0], Some(10)).at_log_start);
        assert!(!of_times(EXTENTS[1], None).at_log_start, "nothing was ever deleted there");
    }

    #[test]
    fn both_ends_belong_to_a_range_of_time_and_only_the_brokers_own_clock_ends_the_search() {
        let times = Times { from_ms: 10, to_ms: 20 };
        assert_eq!([9, 10, 20, 21].map(|ms| times.contain(ms)), [false, true, true, false]);
        assert_eq!([None, Some(20), Some(21)].map(|ms| times.end_before(ms)), [false, false, true]);
    }
}
