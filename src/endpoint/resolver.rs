//! ● Names → addresses: cached, bounded in time and in number, off the arbiters.
//!
//! The system's resolver blocks a thread of the blocking pool, so a dead name server could use that pool up; hence
//! the bound on lookups under way and the deadline.

use std::{
    cell::RefCell,
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    time::{Duration, Instant},
};

use futures_util::future::LocalBoxFuture;
use tokio::sync::Semaphore;

use crate::clock;

/// Names kept at most; beyond it the cache starts anew (a name costs one lookup, never more).
const NAMES_MAX: usize = 50_000;

/// Who knows the addresses of a name.
pub trait NameServer {
    fn addresses<'a>(&'a self, name: &'a str) -> LocalBoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// The operating system: its hosts file, its name servers.
pub struct System;

impl NameServer for System {
    fn addresses<'a>(&'a self, name: &'a str) -> LocalBoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect()) })
    }
}

/// One core's view of DNS.
#[derive(Clone)]
pub struct Resolver {
    shared: Rc<Shared>,
}

struct Shared {
    names: Box<dyn NameServer>,
    cache: RefCell<HashMap<Box<str>, Entry>>,
    lookups: Semaphore,
    cache_for: Duration,
    timeout: Duration,
}

struct Entry {
    addresses: Vec<IpAddr>,
    until: Instant,
}

impl Resolver {
    #[must_use]
    pub fn new(names: Box<dyn NameServer>, cache_for: Duration, timeout: Duration, lookups_max: usize) -> Self {
        let lookups = Semaphore::new(lookups_max.max(1));
        Resolver { shared: Rc::new(Shared { names, cache: RefCell::default(), lookups, cache_for, timeout }) }
    }

    /// The addresses of a URL's host, which may be one itself.
    ///
    /// # Errors
    /// When it has none, or the name server does not answer in time.
    pub async fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Some(ip) = literal(host) {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let ips = match self.shared.cached(host, clock::now()) {
            Some(ips) => ips,
            None => self.shared.look_up(host).await?,
        };
        Ok(ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
    }
}

impl Shared {
    async fn look_up(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let addresses = tokio::time::timeout(self.timeout, async {
            let _turn = self.lookups.acquire().await.map_err(io::Error::other)?;
            self.names.addresses(name).await
        })
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "name lookup timed out"))??;
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "name has no address"));
        }
        self.remember(name, &addresses, clock::now());
        Ok(addresses)
    }

    fn cached(&self, name: &str, now: Instant) -> Option<Vec<IpAddr>> {
        let cache = self.cache.borrow();
        cache.get(name).filter(|entry| now < entry.until).map(|entry| entry.addresses.clone())
    }

    fn remember(&self, name: &str, addresses: &[IpAddr], now: Instant) {
        let mut cache = self.cache.borrow_mut();
        if cache.len() >= NAMES_MAX {
            cache.clear();
        }
        cache.insert(name.into(), Entry { addresses: addresses.to_vec(), until: now + self.cache_for });
    }
}

/// In a URL an IPv6 address stands in brackets.
fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

#[cfg(test)]
pub mod testing {
    //! Name servers that tests play.

    use std::cell::Cell;

    use super::*;

    /// Answers with these, one after the other, and with the last one from then on.
    pub struct Scripted {
        pub answers: Vec<Vec<IpAddr>>,
        pub asked: Rc<Cell<usize>>,
    }

    impl Scripted {
        #[must_use]
        pub fn new(answers: &[&[&str]]) -> Self {
            let parse = |ips: &&[&str]| ips.iter().map(|ip| ip.parse().expect("an address")).collect();
            Scripted { answers: answers.iter().map(parse).collect(), asked: Rc::default() }
        }
    }

    impl NameServer for Scripted {
        fn addresses<'a>(&'a self, _name: &'a str) -> LocalBoxFuture<'a, io::Result<Vec<IpAddr>>> {
            let nth = self.asked.replace(self.asked.get() + 1).min(self.answers.len() - 1);
            Box::pin(std::future::ready(Ok(self.answers[nth].clone())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{testing::Scripted, *};

    fn resolver(names: impl NameServer + 'static) -> Resolver {
        Resolver::new(Box::new(names), Duration::from_secs(30), Duration::from_secs(2), 4)
    }

    #[actix_rt::test]
    async fn a_name_is_looked_up_once_and_serves_every_port() {
        let names = Scripted::new(&[&["1.1.1.1", "::1"]]);
        let asked = Rc::clone(&names.asked);
        let resolver = resolver(names);
        for port in [80, 8080] {
            let addresses = resolver.addresses("example.test", port).await.expect("an answer");
            assert_eq!(addresses.iter().map(SocketAddr::port).collect::<Vec<_>>(), [port, port]);
        }
        assert_eq!(asked.get(), 1);
    }

    #[actix_rt::test]
    async fn an_address_needs_no_name_server() {
        let names = Scripted::new(&[&[]]);
        let asked = Rc::clone(&names.asked);
        let resolver = resolver(names);
        for (host, address) in [("[::1]", "[::1]:80"), ("127.0.0.1", "127.0.0.1:80")] {
            let address: SocketAddr = address.parse().expect("an address");
            assert_eq!(resolver.addresses(host, 80).await.expect("itself"), [address]);
        }
        assert_eq!(asked.get(), 0);
        assert!(resolver.addresses("example.test", 80).await.is_err(), "no address is an error");
    }

    #[actix_rt::test]
    async fn the_system_knows_localhost() {
        assert!(!resolver(System).addresses("localhost", 80).await.expect("localhost resolves").is_empty());
    }

    #[test]
    fn a_cached_name_expires() {
        let resolver = resolver(System);
        let now = clock::now();
        resolver.shared.remember("example.test", &[IpAddr::from([127, 0, 0, 1])], now);
        assert!(resolver.shared.cached("example.test", now + Duration::from_secs(29)).is_some());
        assert!(resolver.shared.cached("example.test", now + Duration::from_secs(30)).is_none());
    }
}
