//! ● Names → addresses: cached, bounded in time and in number, off the arbiters.
//!
//! The system's resolver blocks a thread of the blocking pool, so a dead name server could use that pool up; hence
//! the bound on lookups under way and the deadline. The addresses given out here are the ones connected to, which is
//! why the egress guard will stand in [`CachedResolver::lookup`].

use std::{
    cell::RefCell,
    collections::HashMap,
    error::Error,
    io,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use actix_tls::connect::Resolve;
use futures_util::future::LocalBoxFuture;
use tokio::sync::Semaphore;

use crate::clock;

/// Names kept at most; beyond it the cache starts anew (a name costs one lookup, never more).
const NAMES_MAX: usize = 50_000;

/// One core's view of DNS.
#[derive(Clone)]
pub struct CachedResolver {
    shared: Rc<Shared>,
}

struct Shared {
    cache: RefCell<HashMap<Box<str>, Entry>>,
    lookups: Semaphore,
    cache_for: Duration,
    timeout: Duration,
}

struct Entry {
    addresses: Vec<SocketAddr>,
    until: Instant,
}

impl CachedResolver {
    #[must_use]
    pub fn new(cache_for: Duration, timeout: Duration, lookups_max: usize) -> Self {
        CachedResolver {
            shared: Rc::new(Shared {
                cache: RefCell::default(),
                lookups: Semaphore::new(lookups_max.max(1)),
                cache_for,
                timeout,
            }),
        }
    }
}

impl Resolve for CachedResolver {
    fn lookup<'a>(&'a self, host: &'a str, port: u16) -> LocalBoxFuture<'a, Result<Vec<SocketAddr>, Box<dyn Error>>> {
        Box::pin(async move { Ok(self.shared.lookup(host, port).await?) })
    }
}

impl Shared {
    async fn lookup(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Some(addresses) = self.cached(host, port, clock::now()) {
            return Ok(addresses);
        }
        let addresses = tokio::time::timeout(self.timeout, async {
            let _turn = self.lookups.acquire().await.map_err(io::Error::other)?;
            Ok::<Vec<SocketAddr>, io::Error>(tokio::net::lookup_host((host, port)).await?.collect())
        })
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "name lookup timed out"))??;
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "name has no address"));
        }
        self.remember(host, &addresses, clock::now());
        Ok(addresses)
    }

    fn cached(&self, host: &str, port: u16, now: Instant) -> Option<Vec<SocketAddr>> {
        let cache = self.cache.borrow();
        let entry = cache.get(host).filter(|entry| now < entry.until)?;
        Some(entry.addresses.iter().map(|address| SocketAddr::new(address.ip(), port)).collect())
    }

    fn remember(&self, host: &str, addresses: &[SocketAddr], now: Instant) {
        let mut cache = self.cache.borrow_mut();
        if cache.len() >= NAMES_MAX {
            cache.clear();
        }
        cache.insert(host.into(), Entry { addresses: addresses.to_vec(), until: now + self.cache_for });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolver() -> CachedResolver {
        CachedResolver::new(Duration::from_secs(30), Duration::from_secs(2), 4)
    }

    #[actix_rt::test]
    async fn a_name_is_looked_up_once_and_serves_every_port() {
        let resolver = resolver();
        let first = resolver.lookup("localhost", 80).await.expect("localhost resolves");
        assert!(first.iter().all(|address| address.port() == 80));
        assert_eq!(resolver.shared.cache.borrow().len(), 1);
        let second = resolver.shared.cached("localhost", 8080, clock::now()).expect("cached");
        assert!(second.iter().all(|address| address.port() == 8080));
    }

    #[test]
    fn a_cached_name_expires() {
        let resolver = resolver();
        let now = clock::now();
        resolver.shared.remember("example.test", &[SocketAddr::from(([127, 0, 0, 1], 1))], now);
        assert!(resolver.shared.cached("example.test", 1, now + Duration::from_secs(29)).is_some());
        assert!(resolver.shared.cached("example.test", 1, now + Duration::from_secs(30)).is_none());
    }
}
