//! ○ Endpoints that fail for one and the same cause are told of together: sixty behind one host are one piece of news.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// The host of the endpoints, and the kind of their failures.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Cause {
    /// With its port, where that is not the usual one.
    pub host: Arc<str>,
    pub class: Option<&'static str>,
    pub status: Option<u16>,
}

/// Causes of which something is to be told soon, and since when: others may be about to fail for the same.
#[derive(Debug, Default)]
pub(super) struct Causes(HashMap<Cause, Instant>);

impl Causes {
    /// Takes the part of all that is due which is told now: a cause waits for company from its first endpoint on.
    pub(super) fn take<T>(&mut self, due: Vec<(Cause, T)>, company: Duration, now: Instant) -> Vec<(Cause, Vec<T>)> {
        let mut groups: HashMap<Cause, Vec<T>> = HashMap::new();
        for (cause, one) in due {
            groups.entry(cause).or_default().push(one);
        }
        self.0.retain(|cause, _| groups.contains_key(cause));
        let mut told = Vec::new();
        for (cause, group) in groups {
            let since = *self.0.entry(cause.clone()).or_insert(now);
            if now.saturating_duration_since(since) >= company {
                self.0.remove(&cause);
                told.push((cause, group));
            }
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPANY: Duration = Duration::from_secs(10);

    fn cause(host: &str, status: u16) -> Cause {
        Cause { host: host.into(), class: Some("http_5xx"), status: Some(status) }
    }

    #[test]
    fn what_fails_for_the_same_cause_within_a_while_is_told_together() {
        let (mut causes, start) = (Causes::default(), Instant::now());
        let due = |count: usize| (0..count).map(|n| (cause("down.example", 503), n)).collect::<Vec<_>>();
        assert!(causes.take(due(1), COMPANY, start).is_empty(), "others may follow");
        assert!(causes.take(due(40), COMPANY, start + COMPANY / 2).is_empty());
        let told = causes.take(due(60), COMPANY, start + COMPANY);
        assert_eq!(told.iter().map(|(_, group)| group.len()).collect::<Vec<_>>(), [60]);
        // What comes after it begins again.
        assert!(causes.take(due(1), COMPANY, start + COMPANY).is_empty());
        assert_eq!(causes.take(due(1), COMPANY, start + 2 * COMPANY).len(), 1);
    }

    #[test]
    fn another_host_or_another_answer_is_another_cause() {
        let (mut causes, start) = (Causes::default(), Instant::now());
        let due = || vec![(cause("a.example", 503), 1), (cause("b.example", 503), 2), (cause("a.example", 404), 3)];
        assert!(causes.take(due(), COMPANY, start).is_empty());
        assert_eq!(causes.take(due(), COMPANY, start + COMPANY).len(), 3);
    }

    #[test]
    fn an_endpoint_that_recovers_before_it_is_told_of_is_no_news() {
        let (mut causes, start) = (Causes::default(), Instant::now());
        assert!(causes.take(vec![(cause("a.example", 503), 1)], COMPANY, start).is_empty());
        assert!(causes.take(Vec::<(Cause, i32)>::new(), COMPANY, start + COMPANY / 2).is_empty());
        let again = causes.take(vec![(cause("a.example", 503), 1)], COMPANY, start + COMPANY);
        assert!(again.is_empty(), "it has just begun to fail again");
    }
}
