//! ○ Hosts that HTTP/1.1 is spoken with, though they may be offered HTTP/2: they chose it, or their HTTP/2 misbehaves. For a
//! while; then one connection asks again, and the others go on as before.

use std::{
    hash::Hash,
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use lru::LruCache;

/// The hosts of which something is known; those heard of longest ago are forgotten first.
pub struct Protocols<K: Hash + Eq> {
    http1_until: LruCache<K, Instant>,
}

/// The protocol of a host, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownProtocol {
    /// Never asked, or HTTP/2.
    Unknown,
    Http1,
    /// It was HTTP/1.1, so long ago that the next new connection should ask.
    Http1Before,
}

impl<K: Hash + Eq> Default for Protocols<K> {
    fn default() -> Self {
        Protocols { http1_until: LruCache::new(HOSTS_MAX) }
    }
}

impl<K: Hash + Eq> Protocols<K> {
    pub fn of(&mut self, host: &K, now: Instant) -> KnownProtocol {
        match self.http1_until.get(host) {
            None => KnownProtocol::Unknown,
            Some(until) if now < *until => KnownProtocol::Http1,
            Some(_) => KnownProtocol::Http1Before,
        }
    }

    /// Somebody asks again: until there is an answer the others go on with HTTP/1.1.
    pub fn is_asked(&mut self, host: K, now: Instant) {
        self.http1_until.put(host, now + ASKING);
    }

    /// It speaks HTTP/1.1, or nothing else that is understood.
    pub fn is_http1(&mut self, host: K, now: Instant) {
        self.http1_until.put(host, now + HTTP1_FOR);
    }

    /// It speaks HTTP/2.
    pub fn is_http2(&mut self, host: &K) {
        self.http1_until.pop(host);
    }
}

/// Time for which HTTP/1.1 is spoken before HTTP/2 is offered again.
pub const HTTP1_FOR: Duration = Duration::from_secs(600);
/// The longest that a new connection takes.
const ASKING: Duration = Duration::from_secs(60);
const HOSTS_MAX: NonZeroUsize = NonZeroUsize::new(4096).expect("invariant: not zero");

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
        protocols.is_http2(&"a");
        assert_eq!(protocols.of(&"a", later), KnownProtocol::Unknown);
    }

    #[test]
    fn the_host_heard_of_longest_ago_is_forgotten_first() {
        let (mut protocols, now) = (Protocols::default(), Instant::now());
        for host in 0..HOSTS_MAX.get() {
            protocols.is_http1(host, now);
        }
        assert_eq!(protocols.of(&0, now), KnownProtocol::Http1);
        protocols.is_http1(HOSTS_MAX.get(), now);
        assert_eq!(protocols.of(&0, now), KnownProtocol::Http1);
        assert_eq!(protocols.of(&1, now), KnownProtocol::Unknown);
    }
}
