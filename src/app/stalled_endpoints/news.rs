//! ○ Endpoints that become stalled are told of once, those of one reason together, and of each reason once a minute at
//! most: however many are stalled at once, operators read some lines.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{endpoint::stalls::EndpointStallReason, model::event::EndpointKey};

/// An endpoint that is stalled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StandingEndpoint {
    pub key: EndpointKey,
    pub endpoint_id: Arc<str>,
    pub customer_id: Arc<str>,
    pub since: Instant,
    pub why: EndpointStallReason,
}

/// Endpoints that became stalled for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EndpointStallGroup {
    pub why: EndpointStallReason,
    pub endpoints: usize,
    pub customers: usize,
    /// The first hundred, customers in turn.
    pub endpoint_ids: Vec<Arc<str>>,
    /// The one that has stood for longest.
    pub since: Instant,
}

/// The endpoints and reasons that were told of, and when.
#[derive(Debug, Default)]
pub(super) struct StallNews {
    of: HashMap<(EndpointKey, EndpointStallReason), Instant>,
    groups: HashMap<EndpointStallReason, Instant>,
}

impl StallNews {
    /// Groups that are to be told of now, of all that stand now. One that moved and stands again is no news within `repeat_after`.
    pub(super) fn observe(
        &mut self,
        stand: &[StandingEndpoint],
        repeat_after: Duration,
        now: Instant,
    ) -> Vec<EndpointStallGroup> {
        let still: HashSet<(EndpointKey, EndpointStallReason)> = stand.iter().map(|one| (one.key, one.why)).collect();
        let is_recent = |at: Instant, by| now.saturating_duration_since(at) < by;
        self.of.retain(|told, at| still.contains(told) || is_recent(*at, repeat_after));
        let mut began: HashMap<EndpointStallReason, Vec<&StandingEndpoint>> = HashMap::new();
        for one in stand.iter().filter(|one| !self.of.contains_key(&(one.key, one.why))) {
            began.entry(one.why).or_default().push(one);
        }
        began.retain(|why, _| !self.groups.get(why).is_some_and(|at| is_recent(*at, EACH_REASON)));
        for (why, group) in &began {
            self.groups.insert(*why, now);
            self.of.extend(group.iter().map(|one| ((one.key, one.why), now)));
        }
        began.into_iter().filter_map(|(why, group)| group_of(why, &group)).collect()
    }
}

fn group_of(why: EndpointStallReason, group: &[&StandingEndpoint]) -> Option<EndpointStallGroup> {
    let mut customers: HashMap<&str, VecDeque<&StandingEndpoint>> = HashMap::new();
    for one in group {
        customers.entry(&one.customer_id).or_default().push_back(one);
    }
    let count = customers.len();
    let mut turns: VecDeque<VecDeque<&StandingEndpoint>> = customers.into_values().collect();
    let mut endpoint_ids = Vec::with_capacity(group.len().min(IDS_MAX));
    while endpoint_ids.len() < IDS_MAX
        && let Some(mut of_customer) = turns.pop_front()
    {
        endpoint_ids.extend(of_customer.pop_front().map(|one| Arc::clone(&one.endpoint_id)));
        if !of_customer.is_empty() {
            turns.push_back(of_customer);
        }
    }
    let since = group.iter().map(|one| one.since).min()?;
    Some(EndpointStallGroup { why, endpoints: group.len(), customers: count, endpoint_ids, since })
}

const EACH_REASON: Duration = Duration::from_secs(60);
/// Ids of endpoints that are told of together.
const IDS_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn stands(key: u32, customer: &str, why: EndpointStallReason, since: Instant) -> StandingEndpoint {
        let endpoint_id = format!("ep_{key}").into();
        StandingEndpoint { key: EndpointKey(key), endpoint_id, customer_id: customer.into(), since, why }
    }

    #[test]
    fn an_endpoint_is_told_of_once_for_each_time_and_reason_but_not_again_within_a_while() {
        let (mut news, start) = (StallNews::default(), Instant::now());
        let at = |secs: u64| start + Duration::from_secs(secs);
        let one = [stands(1, "a", EndpointStallReason::Breaker, start)];
        let told = news.observe(&one, HOUR, at(30));
        assert_eq!(told.len(), 1);
        assert_eq!(
            (told[0].why, told[0].endpoints, told[0].customers, told[0].since),
            (EndpointStallReason::Breaker, 1, 1, start)
        );
        assert_eq!(told[0].endpoint_ids, ["ep_1".into()]);
        assert!(news.observe(&one, HOUR, at(9_000)).is_empty(), "it goes on");
        assert_eq!(
            news.observe(&[stands(1, "a", EndpointStallReason::Silent, start)], HOUR, at(9_005)).len(),
            1,
            "another reason"
        );
        assert!(news.observe(&[], HOUR, at(9_010)).is_empty());
        assert_eq!(news.observe(&one, HOUR, at(9_100)).len(), 1, "it moved, and that was long ago");
        assert!(news.observe(&[], HOUR, at(9_200)).is_empty());
        assert!(news.observe(&one, HOUR, at(9_300)).is_empty(), "to and fro");
    }

    #[test]
    fn however_many_begin_to_stand_there_is_one_group_of_each_reason_a_minute_and_nobody_is_left_out() {
        let (mut news, start) = (StallNews::default(), Instant::now());
        let mut stand: Vec<StandingEndpoint> =
            (0..3_000).map(|n| stands(n, "large", EndpointStallReason::Breaker, start)).collect();
        stand.push(stands(3_000, "small", EndpointStallReason::Breaker, start));
        stand.push(stands(3_001, "small", EndpointStallReason::RateLimit, start));
        let mut told = news.observe(&stand, HOUR, start);
        told.sort_by_key(|group| group.endpoints);
        assert_eq!(
            told.iter().map(|group| (group.endpoints, group.customers)).collect::<Vec<_>>(),
            [(1, 1), (3_001, 2)]
        );
        assert_eq!(told[1].endpoint_ids.len(), IDS_MAX);
        assert!(told[1].endpoint_ids.iter().any(|id| **id == *"ep_3000"), "each customer is named");
        stand.extend((4_000..5_000).map(|n| stands(n, "late", EndpointStallReason::Breaker, start)));
        assert!(news.observe(&stand, HOUR, start + Duration::from_secs(59)).is_empty());
        let told = news.observe(&stand, HOUR, start + Duration::from_secs(60));
        assert_eq!(told.iter().map(|group| group.endpoints).collect::<Vec<_>>(), [1_000]);
    }
}
