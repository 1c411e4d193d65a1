//! ● Asks name servers: those of the settings, or those of this machine with its hosts file, both read again when they change.
//!
//! Asynchronous, so a name server that never answers takes no thread, and a look-up that is dropped is over.

use std::{
    cell::{Cell, RefCell},
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    rc::Rc,
    time::{Duration, Instant},
};

use futures_util::future::LocalBoxFuture;
use hickory_resolver::{
    Hosts, Resolver, TokioResolver,
    config::{LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::Query,
        rr::{Name, RecordType},
    },
    system_conf::parse_resolv_conf,
};

use super::names::{Found, NameFailure};
use crate::clock;

/// Knows the addresses of names.
pub trait NameServer {
    fn look_up<'a>(&'a self, name: &'a str) -> LocalBoxFuture<'a, Result<Found, NameFailure>>;
}

/// The domain name system, and the hosts file before it.
pub struct Dns {
    /// Asked in place of those of this machine, where there are some.
    servers: Vec<SocketAddr>,
    /// For one question to one server.
    try_timeout: Duration,
    state: RefCell<Option<Rc<Configured>>>,
    read_at: Cell<Option<Instant>>,
}

/// A resolver for what the files said.
struct Configured {
    files: Files,
    hosts: Hosts,
    resolver: TokioResolver,
}

#[derive(Clone, Default, PartialEq, Eq)]
struct Files {
    hosts: Vec<u8>,
    resolv_conf: Vec<u8>,
}

impl Files {
    fn read() -> Self {
        let read = |path: &str| std::fs::read(path).unwrap_or_default();
        Files { hosts: read("/etc/hosts"), resolv_conf: read("/etc/resolv.conf") }
    }
}

impl Dns {
    /// A whole look-up ends within `timeout`: one lost packet is made up for, and one half (A or AAAA) that nobody answers
    /// does not spoil the other.
    #[must_use]
    pub fn new(servers: Vec<SocketAddr>, timeout: Duration) -> Self {
        Dns { servers, try_timeout: timeout / 3, state: RefCell::default(), read_at: Cell::default() }
    }

    async fn configured(&self) -> Result<Rc<Configured>, NameFailure> {
        let now = clock::now();
        let kept = self.state.borrow().clone();
        let is_due = self.read_at.get().is_none_or(|at| now.saturating_duration_since(at) >= READ_AGAIN);
        if let Some(kept) = kept.clone()
            && !is_due
        {
            return Ok(kept);
        }
        self.read_at.set(Some(now));
        let files = tokio::task::spawn_blocking(Files::read).await.map_err(local)?;
        if let Some(kept) = kept.filter(|kept| kept.files == files) {
            return Ok(kept);
        }
        let configured = Rc::new(self.configure(files)?);
        *self.state.borrow_mut() = Some(Rc::clone(&configured));
        Ok(configured)
    }

    fn configure(&self, files: Files) -> Result<Configured, NameFailure> {
        let mut hosts = Hosts::default();
        if let Err(error) = hosts.read_hosts_conf(files.hosts.as_slice()) {
            tracing::warn!(%error, "/etc/hosts cannot be read whole");
        }
        let (config, mut options) = if self.servers.is_empty() {
            parse_resolv_conf(&files.resolv_conf).unwrap_or_else(|error| {
                tracing::warn!(%error, "/etc/resolv.conf names no name server; asking the one of this machine");
                (of_servers(&[SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 53)]), ResolverOpts::default())
            })
        } else {
            (of_servers(&self.servers), ResolverOpts::default())
        };
        options.timeout = self.try_timeout;
        options.attempts = 1;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.use_hosts_file = ResolveHosts::Never; // looked at before, here
        options.cache_size = 0; // `Names` keeps what was found
        let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options;
        Ok(Configured { files, hosts, resolver: builder.build().map_err(local)? })
    }
}

fn of_servers(servers: &[SocketAddr]) -> ResolverConfig {
    let server = |address: &SocketAddr| {
        let mut server = NameServerConfig::udp_and_tcp(address.ip());
        server.connections.iter_mut().for_each(|connection| connection.port = address.port());
        server
    };
    ResolverConfig::from_name_servers(servers.iter().map(server).collect())
}

impl Configured {
    /// The hosts file's addresses, without a question to anybody.
    fn of_hosts_file(&self, name: &str) -> Option<Found> {
        let name = Name::from_utf8(name).ok()?;
        let kinds = [RecordType::A, RecordType::AAAA];
        let found = kinds.map(|kind| self.hosts.lookup_static_host(&Query::query(name.clone(), kind)));
        let records = found.iter().flatten().flat_map(|lookup| lookup.answers());
        let addresses: Vec<IpAddr> = records.filter_map(|record| record.data.ip_addr()).collect();
        (!addresses.is_empty()).then_some(Found { addresses, ttl: READ_AGAIN })
    }
}

impl NameServer for Dns {
    fn look_up<'a>(&'a self, name: &'a str) -> LocalBoxFuture<'a, Result<Found, NameFailure>> {
        Box::pin(async move {
            let configured = self.configured().await?;
            if let Some(found) = configured.of_hosts_file(name) {
                return Ok(found);
            }
            let found = configured.resolver.lookup_ip(name).await.map_err(|error| failure_of(&error))?;
            let ttl = found.valid_until().saturating_duration_since(clock::now());
            Ok(Found { addresses: found.iter().collect(), ttl })
        })
    }
}

fn failure_of(error: &NetError) -> NameFailure {
    use hickory_resolver::proto::op::ResponseCode::{NXDomain, NoError};
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            NXDomain => NameFailure::NotFound("the name does not exist".into()),
            NoError => NameFailure::NotFound("the name has no address".into()),
            code => NameFailure::Unavailable(format!("the name server answered {code}").into()),
        },
        NetError::Timeout => NameFailure::TimedOut,
        NetError::Io(error) if is_lacking(error) => NameFailure::Local(error.to_string().into()),
        error => NameFailure::Unavailable(format!("name lookup failed: {error}").into()),
    }
}

fn is_lacking(error: &io::Error) -> bool {
    super::connections::is_local(error)
}

fn local(error: impl std::fmt::Display) -> NameFailure {
    NameFailure::Local(error.to_string().into())
}

/// The files are looked at this often, and only while there are look-ups.
const READ_AGAIN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn the_hosts_file_is_asked_first_and_the_name_of_this_machine_needs_no_server() {
        // Nobody answers there.
        let dns = Dns::new(vec!["127.0.0.1:9".parse().expect("an address")], Duration::from_secs(2));
        let found = dns.look_up("localhost").await.expect("localhost resolves");
        assert!(found.addresses.iter().all(IpAddr::is_loopback) && !found.addresses.is_empty());
    }

    #[test]
    fn a_changed_hosts_file_counts() {
        let dns = Dns::new(Vec::new(), Duration::from_secs(2));
        let files = |hosts: &str| Files { hosts: hosts.into(), resolv_conf: b"nameserver 192.0.2.1\n".to_vec() };
        let before =
            dns.configure(files("192.0.2.7 hook.example\n2001:db8::7 hook.example other\n")).expect("readable");
        let found = before.of_hosts_file("HOOK.example").expect("it is there");
        assert_eq!(found.addresses.len(), 2, "of both kinds");
        let after = dns.configure(files("# nothing\n")).expect("readable");
        assert!(after.of_hosts_file("hook.example").is_none());
    }

    #[actix_rt::test]
    async fn without_a_name_server_in_the_file_the_one_of_this_machine_is_asked() {
        let dns = Dns::new(Vec::new(), Duration::from_millis(30));
        assert!(dns.configure(Files::default()).is_ok());
    }
}
