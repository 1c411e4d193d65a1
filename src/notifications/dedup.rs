//! ○ The last message to operators about each subject, so that the same is not told twice within a while.

use std::collections::HashMap;

/// Subjects that are remembered at most; beyond it the oldest is forgotten, and may be told again.
const SUBJECTS_MAX: usize = 10_000;

/// One a process: what other instances told stands in the database.
#[derive(Debug, Default)]
pub(super) struct Dedup(HashMap<String, Last>);

/// The last message about a subject.
#[derive(Debug, Clone, Copy)]
struct Last {
    word: &'static str,
    at_ms: i64,
    /// The newest of it that was no relief, and when.
    bad: Option<(&'static str, i64)>,
}

impl Dedup {
    /// True if this is news: `word` of the subject `key`, at `now_ms`. Good news is news only after the bad one, and the same
    /// bad news is none within `repeat_after_ms`, whatever good news came in between.
    pub(super) fn is_news(
        &mut self,
        key: &str,
        word: &'static str,
        is_relief: bool,
        now_ms: i64,
        repeat_after_ms: i64,
    ) -> bool {
        let last = self.0.get(key).copied();
        let is_news = match last {
            // A relief of something told before this process started is for the database to judge.
            None => true,
            Some(last) if is_relief => last.word != word,
            Some(Last { bad: Some((bad, at_ms)), .. }) => bad != word || now_ms - at_ms >= repeat_after_ms,
            Some(Last { bad: None, .. }) => true,
        };
        if is_news {
            if self.0.len() >= SUBJECTS_MAX
                && !self.0.contains_key(key)
                && let Some(oldest) = self.0.iter().min_by_key(|(_, last)| last.at_ms).map(|(key, _)| key.clone())
            {
                self.0.remove(&oldest);
            }
            let bad = if is_relief { last.and_then(|last| last.bad) } else { Some((word, now_ms)) };
            self.0.insert(key.to_owned(), Last { word, at_ms: now_ms, bad });
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn the_same_is_told_once_an_hour_and_something_else_at_once() {
        let mut told = Dedup::default();
        let mut say = |word, is_relief, at| told.is_news("endpoint/ep_1/health", word, is_relief, at, HOUR);
        assert!(say("endpoint.failing", false, 0));
        assert!(!say("endpoint.failing", false, HOUR - 1));
        assert!(say("endpoint.recovered", true, HOUR - 1));
        assert!(!say("endpoint.recovered", true, 9 * HOUR), "good news is not repeated");
        assert!(say("endpoint.failing", false, 9 * HOUR));
        assert!(say("endpoint.failing", false, 10 * HOUR));
        assert!(say("endpoint.disabled", false, 10 * HOUR), "something worse is news");
    }

    #[test]
    fn what_goes_to_and_fro_is_told_once_in_a_while() {
        let mut told = Dedup::default();
        let mut say = |word, is_relief, at| told.is_news("endpoint/ep_1/health", word, is_relief, at, HOUR);
        assert!(say("endpoint.failing", false, 0));
        assert!(say("endpoint.recovered", true, 60_000));
        for minute in 2..60 {
            assert!(!say("endpoint.failing", false, minute * 60_000));
            assert!(!say("endpoint.recovered", true, minute * 60_000 + 30_000), "nobody was told that it failed");
        }
        assert!(say("endpoint.failing", false, HOUR));
        assert!(say("endpoint.recovered", true, HOUR + 1));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_newest_stays() {
        let mut told = Dedup::default();
        for n in 0..=SUBJECTS_MAX as i64 {
            assert!(told.is_news(&n.to_string(), "endpoint.failing", false, n, HOUR));
        }
        assert_eq!(told.0.len(), SUBJECTS_MAX);
        assert!(!told.is_news(&SUBJECTS_MAX.to_string(), "endpoint.failing", false, 0, HOUR));
        assert!(told.is_news("0", "endpoint.failing", false, 0, HOUR));
    }
}
