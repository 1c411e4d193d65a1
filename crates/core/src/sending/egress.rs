//! ○ Rules for the destinations of requests: schemes, ports, names and addresses.
//!
//! A customer writes the URL and we send to it from inside the operator's network, so whatever only we can reach must
//! be out of reach. A URL is looked at when it is written ([`Egress::check_url`]), and the addresses that a connection
//! is opened to each time one is opened ([`Egress::check_addresses`]): a name may lead elsewhere by then.
//!
//! `egress.deny` goes before everything, then what nobody may allow (metadata services, link-local, multicast), then
//! `egress.allow`, then the addresses that are not public.

mod addresses; // which addresses are public
mod rules; // `egress.allow`, `egress.deny`, `egress.ports_denied`

#[cfg(any(test, feature = "testing"))]
impl Egress {
    /// A policy with one rule, for tests.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn allowing(rule: &str) -> Self {
        let allow = vec![Rule::parse(rule).expect(rule)];
        let own_api = SocketAddr::from(([127, 0, 0, 1], 8080));
        Egress::new(EgressOptions { allow, deny: Vec::new(), ports_denied: Vec::new(), https_only: false, own_api })
    }
}

#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub use self::rules::{Ports, Rule};

use self::rules::EgressRules;
use crate::model::url::EndpointUrl;

/// `[egress]` of the configuration, and what else a URL is checked against.
#[derive(Debug, Clone)]
pub struct EgressOptions {
    pub allow: Vec<Rule>,
    pub deny: Vec<Rule>,
    pub ports_denied: Vec<Ports>,
    pub https_only: bool,
    /// Address of our own API.
    pub own_api: SocketAddr,
}

/// The operator's policy. Made once: a pooled connection was opened under the same one.
#[derive(Debug, Clone)]
pub struct Egress {
    allow: EgressRules,
    deny: EgressRules,
    ports_denied: Vec<Ports>,
    https_only: bool,
    /// Address of our own API.
    own_api: SocketAddr,
    /// Address of the canary's receiver: on the loopback, and allowed.
    own_receiver: Option<SocketAddr>,
}

/// The reason why a URL or an address is refused. Goes on after the field's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("must begin with https://")]
    NotHttps,
    #[error("must not lead to port {0}: 80, 443 and those from 1024 on are allowed, except egress.ports_denied")]
    Port(u16),
    #[error("must not lead to {0}")]
    Name(String),
    #[error("must not lead to {0}, which is not a public address; the operator can allow it with egress.allow")]
    NotPublic(IpAddr),
    #[error("must not lead to {0}")]
    Denied(IpAddr),
    #[error("must not lead to Postrider itself")]
    OwnApi,
}

impl Egress {
    #[must_use]
    pub fn new(options: EgressOptions) -> Self {
        let EgressOptions { allow, deny, ports_denied, https_only, own_api } = options;
        Egress {
            allow: EgressRules(allow),
            deny: EgressRules(deny),
            ports_denied,
            https_only,
            own_api,
            own_receiver: None,
        }
    }

    /// The same policy, and this one address beside it: the canary's receiver.
    #[must_use]
    pub fn with_own_receiver(self, own_receiver: Option<SocketAddr>) -> Self {
        Egress { own_receiver, ..self }
    }

    /// All that can be said without asking a name server.
    ///
    /// # Errors
    /// The first thing that is not allowed.
    pub fn check_url(&self, url: &EndpointUrl) -> Result<(), Refusal> {
        let url = url.url();
        let host = url.host_str().unwrap_or_default();
        if self.own_receiver.is_some_and(|own| host == own.ip().to_string() && url.port() == Some(own.port())) {
            return Ok(());
        }
        if self.https_only && url.scheme() != "https" {
            return Err(Refusal::NotHttps);
        }
        let port = url.port_or_known_default().unwrap_or(0);
        self.check_port(port)?;
        match url.host() {
            Some(url::Host::Ipv4(ip)) => self.check_address(ip.into(), port, false),
            Some(url::Host::Ipv6(ip)) => self.check_address(ip.into(), port, false),
            Some(url::Host::Domain(name)) => self.check_name(name, port),
            None => Err(Refusal::Name(String::new())),
        }
    }

    /// The addresses that a connection to `host` would try. One that is refused refuses them all: who answers with a
    /// public and a private one hopes that we try both.
    ///
    /// # Errors
    /// The first one that is not allowed.
    pub fn check_addresses(&self, host: &str, addresses: &[SocketAddr]) -> Result<(), Refusal> {
        if self.own_receiver.is_some_and(|own| addresses == [own]) {
            return Ok(());
        }
        let name = rules::normal(host);
        if self.deny.has_name(&name) {
            return Err(Refusal::Name(name));
        }
        let trusted = self.allow.has_name(&name);
        addresses.iter().try_for_each(|address| {
            self.check_port(address.port())?;
            self.check_address(address.ip(), address.port(), trusted)
        })
    }

    /// A connection that was opened leads back to our own API when both its ends are this machine's.
    #[must_use]
    pub fn is_own_api(&self, local: SocketAddr, peer: SocketAddr) -> bool {
        peer.port() == self.own_api.port() && peer.ip().to_canonical() == local.ip().to_canonical()
    }

    fn check_port(&self, port: u16) -> Result<(), Refusal> {
        let usual = matches!(port, 80 | 443 | 1024..);
        let denied = self.ports_denied.iter().any(|ports| ports.contains(port));
        if usual && !denied { Ok(()) } else { Err(Refusal::Port(port)) }
    }

    fn check_name(&self, name: &str, port: u16) -> Result<(), Refusal> {
        let name = rules::normal(name);
        let is_metadata = METADATA_NAMES.contains(&name.as_str());
        if self.deny.has_name(&name) || is_metadata {
            return Err(Refusal::Name(name));
        }
        // RFC 6761: these are loopback everywhere.
        if name == "localhost" || name.ends_with(".localhost") {
            let trusted = self.allow.has_name(&name);
            let v4 = self.check_address(Ipv4Addr::LOCALHOST.into(), port, trusted);
            return v4
                .or_else(|refusal| self.check_address(Ipv6Addr::LOCALHOST.into(), port, trusted).map_err(|_| refusal));
        }
        Ok(())
    }

    /// `trusted`: the operator allowed the name that leads here.
    fn check_address(&self, ip: IpAddr, port: u16, trusted: bool) -> Result<(), Refusal> {
        for meant in addresses::meant_by(ip) {
            if self.deny.has_address(meant) || addresses::is_never_allowed(meant) {
                return Err(Refusal::Denied(ip));
            }
            if !trusted && !self.allow.has_address(meant) && !addresses::is_public(meant) {
                return Err(Refusal::NotPublic(ip));
            }
            let own = meant.is_loopback() || meant == self.own_api.ip().to_canonical();
            if own && port == self.own_api.port() {
                return Err(Refusal::OwnApi);
            }
        }
        Ok(())
    }
}

/// Names of the clouds' metadata services. Their addresses are refused too; this says so when the URL is written.
const METADATA_NAMES: &[&str] = &[
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "metadata.tencentyun.com",
    "metadata.azure.internal",
    "instance-data",
    "instance-data.ec2.internal",
];
