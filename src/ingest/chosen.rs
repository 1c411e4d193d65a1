//! ○ The operator's choice of topics against those that the cluster has.

use std::{collections::HashMap, fmt};

use regex_lite::Regex;

use super::{consumer::whole_name, topic_ids::TopicNow};
use crate::model::topic::is_kafkas_own;

/// The cluster's answer about the chosen topics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chosen {
    pub absent: Option<Absent>,
    /// Topics of a list that the cluster refuses to speak of, each with its words.
    pub refused: Vec<(String, String)>,
}

impl Chosen {
    /// Chooses by a list of names.
    #[must_use]
    pub fn of_names(names: &[String], known: &HashMap<String, TopicNow>) -> Self {
        let refused = |name: &String| match known.get(name) {
            Some(TopicNow::Refused(words)) => Some((name.clone(), words.clone())),
            _ => None,
        };
        Chosen { absent: Absent::of_names(names, known), refused: names.iter().filter_map(refused).collect() }
    }

    /// There is nothing to read at all, so the group has nothing to assign: Kafka's client does not even join it.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.absent.as_ref().is_some_and(Absent::is_all)
    }
}

/// The part of the choice that the cluster does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absent {
    /// No topic matches the pattern.
    Pattern(String),
    /// There are no topics of these names; `all` of the list, or some of it.
    Names { names: Vec<String>, all: bool },
}

impl Absent {
    fn is_all(&self) -> bool {
        match self {
            Absent::Pattern(_) => true,
            Absent::Names { all, .. } => *all,
        }
    }

    /// A topic that the cluster refuses to speak of may be there.
    fn of_names(names: &[String], known: &HashMap<String, TopicNow>) -> Option<Absent> {
        let is_absent = |name: &&String| known.get(*name) == Some(&TopicNow::Absent);
        let absent: Vec<String> = names.iter().filter(is_absent).cloned().collect();
        let all = absent.len() == names.len();
        (!absent.is_empty()).then_some(Absent::Names { names: absent, all })
    }

    /// `Some` when nothing matches a pattern; `hidden` is the operator's `topic.blacklist`.
    #[must_use]
    pub fn of_pattern<'a>(pattern: &str, hidden: &str, mut known: impl Iterator<Item = &'a str>) -> Option<Absent> {
        let wanted = TopicMatcher::new(pattern, hidden)?;
        (!known.any(|topic| wanted.is_match(topic))).then(|| Absent::Pattern(pattern.to_owned()))
    }
}

/// The topics that a pattern chooses, as Kafka's client will.
#[derive(Debug)]
pub struct TopicMatcher {
    wanted: Regex,
    hidden: Vec<Regex>,
}

impl TopicMatcher {
    /// Topics that match `pattern` as a whole and none of the expressions in `hidden`, separated by commas. `None` where the
    /// pattern is beyond what can be read here: then Kafka's client alone knows.
    #[must_use]
    pub fn new(pattern: &str, hidden: &str) -> Option<Self> {
        let wanted = Regex::new(&whole_name(pattern)).ok()?;
        let hidden = hidden.split(',').filter(|one| !one.is_empty()).flat_map(Regex::new).collect();
        Some(TopicMatcher { wanted, hidden })
    }

    /// Kafka's own topics match no pattern.
    #[must_use]
    pub fn is_match(&self, topic: &str) -> bool {
        self.wanted.is_match(topic) && !is_kafkas_own(topic) && !self.hidden.iter().any(|hidden| hidden.is_match(topic))
    }
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Absent::Pattern(pattern) => write!(f, "no topic matches kafka.topics_pattern `{pattern}` yet")?,
            Absent::Names { names, .. } => {
                let more = if names.len() > NAMED_MAX { ", …" } else { "" };
                let named: Vec<&str> = names.iter().take(NAMED_MAX).map(String::as_str).collect();
                write!(f, "of kafka.topics there is no `{}`{more} yet", named.join("`, `"))?;
            }
        }
        f.write_str(" (or this client may not see it); a topic that comes is read from its beginning")
    }
}

const NAMED_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(pattern: &str, known: &[&str]) -> bool {
        Absent::of_pattern(pattern, "^secret,^__", known.iter().copied()).is_some()
    }

    #[test]
    fn a_pattern_matches_whole_names_and_none_that_are_hidden_or_kafkas_own() {
        assert!(pattern(r"orders\..*", &[]));
        assert!(pattern(r"orders\..*", &["orders", "xorders.eu", "payments"]));
        assert!(!pattern(r"orders\..*", &["payments", "orders.eu"]));
        assert!(pattern(".*", &["__consumer_offsets", "secret-orders"]));
        assert!(!pattern(".*", &["orders"]));
    }

    #[test]
    fn of_a_list_what_the_cluster_does_not_have_is_named_and_what_it_refuses_is_not() {
        let list: Vec<String> = ["a", "b", "c"].map(str::to_owned).into();
        let there = || TopicNow::There { id: None, leaders: HashMap::new() };
        let known = |of: [TopicNow; 3]| list.iter().cloned().zip(of).collect::<HashMap<_, _>>();
        let of = |now| Absent::of_names(&list, &known(now));
        assert_eq!(of([there(), there(), there()]), None);
        assert_eq!(of([there(), TopicNow::Refused("no".to_owned()), there()]), None);
        let some = of([there(), TopicNow::Absent, there()]).expect("b is absent");
        assert!(!some.is_all() && some.to_string().contains("no `b` yet"), "{some}");
        let refused = of([TopicNow::Absent, TopicNow::Absent, TopicNow::Refused("no".to_owned())]);
        assert!(refused.is_some_and(|absent| !absent.is_all()), "c may be there: nobody may say that nothing is");
        assert!(of([TopicNow::Absent, TopicNow::Absent, TopicNow::Absent]).is_some_and(|absent| absent.is_all()));
        assert_eq!(Absent::of_names(&list, &HashMap::new()), None, "the cluster did not answer");
    }
}
