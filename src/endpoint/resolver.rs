//! ● Names → addresses, for one core: one look-up of a name at a time, and as many at once as the customers' shares allow.
//!
//! A look-up that was begun goes on to its own deadline, whoever still waits for it, so that a slow name is known in the
//! end. What is known of a name, and for how long, is decided in `names.rs`.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    net::{IpAddr, SocketAddr},
    rc::{Rc, Weak},
    sync::Arc,
    time::Duration,
};

use tokio::sync::watch;

use super::{
    name_server::NameServer,
    names::{Found, NameCache, NameFailure, NameLimits, NameState, ResolvedAddresses},
    shares::CoreShares,
    waits::Waits,
};
use crate::{
    clock,
    telemetry::handles::{NameMetrics, ShareMetrics},
};

/// One core's view of names. Cheap to clone.
#[derive(Clone)]
pub struct Resolver {
    shared: Rc<Shared>,
}

struct Shared {
    server: Box<dyn NameServer>,
    names: RefCell<NameCache>,
    /// Look-ups that are wanted or under way, by name.
    lookups: RefCell<HashMap<Box<str>, Rc<Lookup>>>,
    shares: CoreShares,
    timeout: Duration,
    metrics: NameMetrics,
}

/// A look-up for all who want it.
struct Lookup {
    stage: watch::Sender<Stage>,
    /// Customers out of whose share it may be done: it begins with the first that has one to spare.
    customers: RefCell<HashSet<Arc<str>>>,
}

#[derive(Clone)]
enum Stage {
    /// It waits for a share.
    Wanted,
    UnderWay,
    Done(Result<ResolvedAddresses, NameFailure>),
}

impl Resolver {
    /// A look-up is over after `timeout`; so many of them are under way at once.
    #[must_use]
    pub fn new(server: Box<dyn NameServer>, limits: NameLimits, timeout: Duration, lookups_max: usize) -> Self {
        let shares = CoreShares::new(lookups_max, ShareMetrics::of_lookups());
        let (names, lookups) = (RefCell::new(NameCache::new(limits)), RefCell::default());
        let metrics = NameMetrics::new();
        Resolver { shared: Rc::new(Shared { server, names, lookups, shares, timeout, metrics }) }
    }

    /// The addresses of a URL's host, which may be one itself. Waiting for the customer's share is told to `waits`.
    ///
    /// # Errors
    /// When it has none, or no name server says so in time.
    pub async fn addresses(
        &self,
        customer: &Arc<str>,
        host: &str,
        port: u16,
        waits: &Waits,
    ) -> Result<Vec<SocketAddr>, NameFailure> {
        if let Some(ip) = literal(host) {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let known = self.shared.names.borrow_mut().lookup(host, clock::now());
        let ips = match known {
            NameState::Addresses(ips) => ips,
            NameState::Ageing(ips) => {
                drop(self.shared.want(customer, host));
                ips
            }
            NameState::Failed(failure) => return Err(failure),
            NameState::No => self.shared.looked_up(customer, host, waits).await?,
        };
        Ok(ips.iter().map(|ip| SocketAddr::new(*ip, port)).collect())
    }
}

impl Shared {
    async fn looked_up(
        self: &Rc<Self>,
        customer: &Arc<str>,
        name: &str,
        waits: &Waits,
    ) -> Result<ResolvedAddresses, NameFailure> {
        let mut stage = self.want(customer, name).stage.subscribe();
        waits.begin(clock::now());
        let _ = stage.wait_for(|stage| !matches!(stage, Stage::Wanted)).await;
        waits.end(clock::now());
        let done = stage.wait_for(|stage| matches!(stage, Stage::Done(_))).await;
        match done.as_deref() {
            Ok(Stage::Done(result)) => result.clone(),
            _ => Err(NameFailure::Local("the name lookup broke off".into())),
        }
    }

    /// The look-up of a name, begun as soon as the share of one who wants it allows.
    fn want(self: &Rc<Self>, customer: &Arc<str>, name: &str) -> Rc<Lookup> {
        let mut lookups = self.lookups.borrow_mut();
        let lookup = match lookups.get(name) {
            Some(lookup) => Rc::clone(lookup),
            None => {
                let lookup =
                    Rc::new(Lookup { stage: watch::Sender::new(Stage::Wanted), customers: RefCell::default() });
                lookups.insert(name.into(), Rc::clone(&lookup));
                lookup
            }
        };
        let is_wanted = matches!(*lookup.stage.borrow(), Stage::Wanted);
        if is_wanted && lookup.customers.borrow_mut().insert(Arc::clone(customer)) {
            actix_rt::spawn(Rc::clone(self).contend(Rc::clone(&lookup), Arc::clone(customer), name.into()));
        }
        lookup
    }

    /// Does the look-up out of a customer's share, unless it was begun out of another's before.
    async fn contend(self: Rc<Self>, lookup: Rc<Lookup>, customer: Arc<str>, name: Box<str>) {
        let mut stage = lookup.stage.subscribe();
        let member = Arc::from(&*name);
        let _unit = tokio::select! {
            biased;
            unit = self.shares.unit(&customer, &member) => unit,
            _ = stage.wait_for(|stage| !matches!(stage, Stage::Wanted)) => return,
        };
        if !matches!(*stage.borrow_and_update(), Stage::Wanted) {
            return;
        }
        let _ending = Ending { shared: Rc::downgrade(&self), name: name.clone() };
        lookup.stage.send_replace(Stage::UnderWay);
        let looked_up = tokio::time::timeout(self.timeout, self.server.look_up(&name)).await;
        let result = self.learn(&name, looked_up.unwrap_or(Err(NameFailure::TimedOut)));
        lookup.stage.send_replace(Stage::Done(result));
    }

    fn learn(&self, name: &str, looked_up: Result<Found, NameFailure>) -> Result<ResolvedAddresses, NameFailure> {
        let (mut names, now) = (self.names.borrow_mut(), clock::now());
        match looked_up {
            Ok(found) => {
                self.metrics.found.increment(1);
                names.found(name, found, now)
            }
            Err(failure) => {
                let served = names.failed(name, failure.clone(), now);
                if served.is_ok() {
                    self.metrics.stale.increment(1);
                    tracing::warn!(%failure, "{name} cannot be looked up; its old addresses are used");
                } else {
                    self.metrics.failed.increment(1);
                }
                served
            }
        }
    }
}

/// A look-up that has ended, however it did, is not joined any more.
struct Ending {
    shared: Weak<Shared>,
    name: Box<str>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.lookups.borrow_mut().remove(&self.name);
        }
    }
}

/// In a URL an IPv6 address stands in brackets.
fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

#[cfg(test)]
pub mod testing;

#[cfg(test)]
mod tests;
