//! ○ The parts that are at work. Of what is still to be done, what may be matched already; and when that is more than may be
//! at once: the oldest, but no endpoint has all the places, and one that takes nothing keeps none.

use std::collections::HashMap;

/// Outlook of a part that is still to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayOutlook {
    /// Settings here may be older than what it is to be matched against.
    Waits,
    /// It may work.
    Candidate,
    /// It ends with its endpoint.
    EndpointGone,
}

/// Decides about a part that is matched against the settings of `since_ms` at least, where everything committed before
/// `complete_to_ms` is in effect. Only then does an endpoint that nobody knows say that it is gone: it may be too new.
#[must_use]
pub fn outlook(since_ms: i64, complete_to_ms: i64, is_endpoint_known: impl FnOnce() -> bool) -> ReplayOutlook {
    if since_ms >= complete_to_ms {
        ReplayOutlook::Waits
    } else if is_endpoint_known() {
        ReplayOutlook::Candidate
    } else {
        ReplayOutlook::EndpointGone
    }
}

/// A part that is still to be done.
#[derive(Clone, Copy, Debug)]
pub struct ReplayCandidate<'a> {
    pub endpoint_id: &'a str,
    /// Its endpoint takes nothing now, and nothing of it is on its way here.
    pub is_idle: bool,
}

/// The places (in ascending order) of those that work, of candidates that stand in the order of their age.
#[must_use]
pub fn choose(candidates: &[ReplayCandidate<'_>], parts_max: usize) -> Vec<usize> {
    let of_endpoint_max = of_endpoint_max(parts_max);
    let mut of_endpoint: HashMap<&str, usize> = HashMap::new();
    let mut chosen: Vec<usize> = Vec::new();
    for idle in [false, true] {
        for (place, candidate) in candidates.iter().enumerate().filter(|(_, candidate)| candidate.is_idle == idle) {
            let count = of_endpoint.entry(candidate.endpoint_id).or_default();
            if chosen.len() < parts_max && *count < of_endpoint_max {
                *count += 1;
                chosen.push(place);
            }
        }
    }
    chosen.sort_unstable();
    chosen
}

/// Parts of one endpoint that work at most, of so many in all.
#[must_use]
pub fn of_endpoint_max(parts_max: usize) -> usize {
    (parts_max / ENDPOINTS_AT_ONCE_MIN).max(1)
}

/// Number of endpoints that have a place, if they want one.
const ENDPOINTS_AT_ONCE_MIN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(of: &[(&'static str, bool)]) -> Vec<ReplayCandidate<'static>> {
        of.iter().map(|(endpoint_id, is_idle)| ReplayCandidate { endpoint_id, is_idle: *is_idle }).collect()
    }

    #[test]
    fn an_endpoint_that_is_unknown_is_gone_only_by_settings_that_are_newer_than_the_wish() {
        assert_eq!(outlook(100, 99, || false), ReplayOutlook::Waits);
        assert_eq!(outlook(100, 100, || false), ReplayOutlook::Waits, "the same millisecond may be before it");
        assert_eq!(outlook(100, 101, || false), ReplayOutlook::EndpointGone);
    }

    #[test]
    fn a_part_works_once_the_settings_are_as_new_as_the_wish() {
        assert_eq!(outlook(100, 100, || true), ReplayOutlook::Waits);
        assert_eq!(outlook(100, 101, || true), ReplayOutlook::Candidate);
    }

    #[test]
    fn the_oldest_work_first() {
        let all = candidates(&[("a", false), ("b", false), ("c", false)]);
        assert_eq!(choose(&all, 2), [0, 1]);
        assert_eq!(choose(&all, 8), [0, 1, 2]);
    }

    #[test]
    fn one_endpoint_with_many_replays_leaves_places_to_others() {
        let mut of = vec![("greedy", false); 50];
        of.extend([("b", false), ("c", false)]);
        assert_eq!(choose(&candidates(&of), 8), [0, 1, 50, 51]);
    }

    #[test]
    fn an_endpoint_that_takes_nothing_keeps_nobody_from_a_place() {
        let all = candidates(&[("paused", true), ("also", true), ("b", false), ("c", false)]);
        assert_eq!(choose(&all, 2), [2, 3]);
        assert_eq!(choose(&all, 4), [0, 1, 2, 3]);
    }
}
