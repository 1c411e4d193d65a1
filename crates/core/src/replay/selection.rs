//! ○ The parts that are at work when there are more than may be: the oldest, but no endpoint has all the places, and one that
//! takes nothing keeps none.

use std::collections::HashMap;

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
    let of_endpoint_max = (parts_max / ENDPOINTS_AT_ONCE_MIN).max(1);
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

/// So many endpoints have a place, if they want one.
const ENDPOINTS_AT_ONCE_MIN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(of: &[(&'static str, bool)]) -> Vec<ReplayCandidate<'static>> {
        of.iter().map(|(endpoint_id, is_idle)| ReplayCandidate { endpoint_id, is_idle: *is_idle }).collect()
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
