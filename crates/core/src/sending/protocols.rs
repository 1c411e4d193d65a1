//! ○ Hosts and endpoints that HTTP/1.1 is spoken with, though they may be offered HTTP/2: a host chose it, or an endpoint's
//! HTTP/2 misbehaves. For a while; then one connection asks again, and the others go on as before.

use std::{
    hash::Hash,
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use lru::LruCache;

/// Keys of which something is known; the ones heard of longest ago are forgotten first.
pub struct Protocols<K: Hash + Eq> {
    notes: LruCache<K, Note>,
}

#[derive(Clone, Copy)]
enum Note {
    Http1Until(Instant),
    /// Its last connection of HTTP/2 ended without a word.
    EndedSilently,
}

/// The protocol, as far as it is known. Of a host and an endpoint there, the greater one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KnownProtocol {
    /// Never asked, or HTTP/2.
    Unknown,
    /// It was HTTP/1.1, so long ago that the next new connection should ask.
    Http1Before,
    Http1,
}

impl<K: Hash + Eq> Default for Protocols<K> {
    fn default() -> Self {
        Protocols { notes: LruCache::new(NOTES_MAX) }
    }
}

impl<K: Hash + Eq> Protocols<K> {
    pub fn of(&mut self, key: &K, now: Instant) -> KnownProtocol {
        match self.notes.get(key) {
            None | Some(Note::EndedSilently) => KnownProtocol::Unknown,
            Some(Note::Http1Until(until)) if now < *until => KnownProtocol::Http1,
            Some(Note::Http1Until(_)) => KnownProtocol::Http1Before,
        }
    }

    /// Somebody asks again: until there is an answer the others go on with HTTP/1.1.
    pub fn is_asked(&mut self, key: K, now: Instant) {
        self.notes.put(key, Note::Http1Until(now + ASKING));
    }

    /// It speaks HTTP/1.1, or nothing else that is understood.
    pub fn is_http1(&mut self, key: K, now: Instant) {
        self.notes.put(key, Note::Http1Until(now + HTTP1_FOR));
    }

    /// It chose HTTP/2 on a connection that was begun at `since`, and is still to say something in it. What another
    /// connection has shown since then holds.
    pub fn is_http2(&mut self, key: &K, since: Instant) {
        if let Some(Note::Http1Until(until)) = self.notes.peek(key)
            && *until < since + HTTP1_FOR
        {
            self.notes.pop(key);
        }
    }

    /// A connection of HTTP/2 ended without a word. The network may have cut it; when that happens to the next one too, it
    /// is HTTP/1.1 from now on, and the answer is true.
    pub fn ended_silently(&mut self, key: K, now: Instant) -> bool {
        match self.notes.get(&key) {
            None => {
                self.notes.put(key, Note::EndedSilently);
                false
            }
            Some(Note::EndedSilently) => {
                self.is_http1(key, now);
                true
            }
            Some(Note::Http1Until(_)) => false,
        }
    }

    /// It said something in HTTP/2.
    pub fn has_spoken(&mut self, key: &K) {
        if let Some(Note::EndedSilently) = self.notes.peek(key) {
            self.notes.pop(key);
        }
    }
}

/// Time for which HTTP/1.1 is spoken before HTTP/2 is offered again.
pub const HTTP1_FOR: Duration = Duration::from_secs(600);
/// The longest that a new connection takes.
const ASKING: Duration = Duration::from_secs(60);
const NOTES_MAX: NonZeroUsize = NonZeroUsize::new(8192).expect("invariant: not zero");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http1_is_spoken_for_a_while_and_then_one_asks_again() {
        let (mut protocols, now) = (Protocols::default(), Instant::now());
        assert_eq!(protocols.of(&"a", now), KnownProtocol::Unknown);
        protocols.is_http1("a", now);
        let later = now + HTTP1_FOR;
        assert_eq!(protocols.of(&"a", later - Duration::from_millis(1)), KnownProtocol::Http1);
        assert_eq!(protocols.of(&"b", now), KnownProtocol::Unknown);
        assert_eq!(protocols.of(&"a", later), KnownProtocol::Http1Before);
        protocols.is_asked("a", later);
        assert_eq!(protocols.of(&"a", later), KnownProtocol::Http1, "the others go on");
        assert_eq!(protocols.of(&"a", later + ASKING), KnownProtocol::Http1Before, "whoever asked has gone");
        protocols.is_http2(&"a", later);
        assert_eq!(protocols.of(&"a", later), KnownProtocol::Unknown);
    }

    #[test]
    fn a_connection_that_comes_to_choose_http2_undoes_nothing_that_was_found_out_meanwhile() {
        let (mut protocols, began_at) = (Protocols::default(), Instant::now());
        protocols.is_http1("a", began_at + Duration::from_millis(5)); // another connection misbehaved
        protocols.is_http2(&"a", began_at);
        assert_eq!(protocols.of(&"a", began_at + Duration::from_secs(1)), KnownProtocol::Http1);
    }

    #[test]
    fn one_silent_end_is_forgiven_and_a_second_one_in_succession_is_not() {
        let (mut protocols, now) = (Protocols::default(), Instant::now());
        assert!(!protocols.ended_silently("a", now));
        protocols.is_http2(&"a", now);
        protocols.has_spoken(&"a");
        assert!(!protocols.ended_silently("a", now), "something came in between");
        assert_eq!(protocols.of(&"a", now), KnownProtocol::Unknown);
        protocols.is_http2(&"a", now);
        assert!(protocols.ended_silently("a", now), "choosing HTTP/2 is not enough");
        assert_eq!(protocols.of(&"a", now), KnownProtocol::Http1);
        assert!(!protocols.ended_silently("a", now), "it is counted once");
        assert!(!protocols.ended_silently("b", now), "each for itself");
    }

    #[test]
    fn http1_counts_more_than_a_question_that_is_due_and_that_more_than_nothing() {
        assert!(KnownProtocol::Http1 > KnownProtocol::Http1Before);
        assert!(KnownProtocol::Http1Before > KnownProtocol::Unknown);
    }

    #[test]
    fn the_host_heard_of_longest_ago_is_forgotten_first() {
        let (mut protocols, now) = (Protocols::default(), Instant::now());
        for host in 0..NOTES_MAX.get() {
            protocols.is_http1(host, now);
        }
        assert_eq!(protocols.of(&0, now), KnownProtocol::Http1);
        protocols.is_http1(NOTES_MAX.get(), now);
        assert_eq!(protocols.of(&0, now), KnownProtocol::Http1);
        assert_eq!(protocols.of(&1, now), KnownProtocol::Unknown);
    }
}
