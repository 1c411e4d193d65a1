//! ● Numbers of events that an endpoint took and of attempts that failed, by the minute or the hour: a part of its
//! stats and of its attempts.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{problem::Problem, request};
use crate::{
    api::endpoint_health::{CountPoint, CountSpan, EndpointCounts},
    attempts::counts::{AttemptCountPoint, Per, Period},
    clock,
    model::hour_count::HOUR_MS,
    store::{Pool, counts},
};

/// Counts of an endpoint within the time that `per`, `since` and `until` say.
///
/// # Errors
/// 400 `invalid_query`; 503 when Postgres is away.
pub(super) async fn of(
    pool: &Pool,
    endpoint_id: &str,
    query: &BTreeMap<String, String>,
) -> Result<EndpointCounts, Problem> {
    let period = period(query, clock::wall_ms())?;
    let rows = counts::read(pool, endpoint_id, period.hours()).await?;
    Ok(view(&period, &period.curve(&rows)))
}

/// Without `since` the last hour by its minutes, or the last day by its hours; without `per` minutes as long as they are
/// not too many.
///
/// # Errors
/// 400 `invalid_query`.
pub(super) fn period(query: &BTreeMap<String, String>, now_ms: i64) -> Result<Period, Problem> {
    let time_ms = |name: &str| Ok::<_, Problem>(request::time(query, name)?.map(|time| time.as_millisecond()));
    let per = match query.get("per").map(String::as_str) {
        None => None,
        Some("minute") => Some(Per::Minute),
        Some("hour") => Some(Per::Hour),
        Some(_) => return Err(Problem::invalid_query("per must be minute or hour")),
    };
    let until_ms = time_ms("until")?.unwrap_or(now_ms);
    let back_ms = if per == Some(Per::Hour) { DAY_MS } else { HOUR_MS };
    let since_ms = time_ms("since")?.unwrap_or(until_ms.saturating_sub(back_ms));
    if since_ms >= until_ms {
        return Err(Problem::invalid_query("since must be before until"));
    }
    let of = |per| Period::covering(per, since_ms, until_ms);
    let period = match per {
        Some(per) => of(per),
        None => Some(of(Per::Minute)).filter(|period| period.points <= POINTS_MAX).unwrap_or_else(|| of(Per::Hour)),
    };
    if period.points > POINTS_MAX {
        let (points, word) = (period.points, period.per.as_str());
        return Err(Problem::invalid_query(format!(
            "from since to until there are {points} {word}s; {POINTS_MAX} are the most"
        )));
    }
    Ok(period)
}

fn view(period: &Period, curve: &[AttemptCountPoint]) -> EndpointCounts {
    // The calendar ends within a point.
    let time =
        |ms: i64| Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX });
    let point = |point: &AttemptCountPoint| CountPoint {
        at: time(point.at_ms),
        delivered: point.delivered,
        failed_attempts: point.failed,
    };
    EndpointCounts {
        per: match period.per {
            Per::Minute => CountSpan::Minute,
            Per::Hour => CountSpan::Hour,
        },
        since: time(period.from_ms),
        until: time(period.until_ms()),
        delivered: curve.iter().map(|point| point.delivered).sum(),
        failed_attempts: curve.iter().map(|point| point.failed).sum(),
        data: curve.iter().map(point).collect(),
    }
}

/// A day of minutes, two months of hours.
const POINTS_MAX: usize = 1_500;
const DAY_MS: i64 = 24 * HOUR_MS;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_767_225_630_000; // half a minute after an hour began

    fn asked(query: &[(&str, &str)]) -> Result<(&'static str, usize), &'static str> {
        let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let period = period(&query, NOW).map_err(|problem| problem.code)?;
        Ok((period.per.as_str(), period.points))
    }

    #[test]
    fn what_is_not_said_is_the_last_hour_or_the_last_day() {
        assert_eq!(asked(&[]), Ok(("minute", 61)), "the minute under way is the last one");
        assert_eq!(asked(&[("per", "hour")]), Ok(("hour", 25)));
        assert_eq!(asked(&[("until", "2026-01-01T00:00:00Z")]), Ok(("minute", 60)));
    }

    #[test]
    fn a_long_time_is_told_by_the_hour_and_too_long_a_time_is_refused() {
        let of = |since| asked(&[("since", since), ("until", "2026-01-01T00:00:00Z")]);
        assert_eq!(of("2025-12-31T00:00:00Z"), Ok(("minute", 1_440)));
        assert_eq!(of("2025-12-30T00:00:00Z"), Ok(("hour", 48)));
        assert_eq!(of("2025-01-01T00:00:00Z"), Err("invalid_query"));
        assert_eq!(of("-009999-01-02T01:59:59Z"), Err("invalid_query"));
        let minutes = [("per", "minute"), ("since", "2025-12-30T00:00:00Z"), ("until", "2026-01-01T00:00:00Z")];
        assert_eq!(asked(&minutes), Err("invalid_query"));
    }

    #[test]
    fn a_time_that_makes_no_sense_is_refused() {
        for query in [("per", "day"), ("since", "now"), ("until", ""), ("since", "2100-01-01T00:00:00Z")] {
            assert_eq!(asked(&[query]), Err("invalid_query"), "{query:?}");
        }
    }
}
