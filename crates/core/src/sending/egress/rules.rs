//! ○ The operator's own rules: networks and names that are allowed or denied, ports that are denied.

use std::{net::IpAddr, ops::RangeInclusive};

use ipnet::IpNet;

/// One element of `egress.allow` or `egress.deny`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// `10.0.0.0/8`, `fd00::/8`, or one address.
    Network(IpNet),
    /// `hooks.example`, as [`normal`] has it.
    Name(String),
    /// `*.example`, kept as `.example`.
    NamesBelow(String),
}

impl Rule {
    /// # Errors
    /// Says what a rule may be.
    pub fn parse(text: &str) -> Result<Rule, &'static str> {
        if let Some(network) = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from)) {
            return of_network(network);
        }
        let (below, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        match url::Host::parse(name) {
            Ok(url::Host::Domain(name)) if !name.chars().all(is_name_char) => Err(ALLOWED),
            Ok(url::Host::Domain(name)) if below => Ok(Rule::NamesBelow(format!(".{}", normal(&name)))),
            Ok(url::Host::Domain(name)) => Ok(Rule::Name(normal(&name))),
            Ok(url::Host::Ipv4(ip)) if !below => Ok(Rule::Network(IpNet::from(IpAddr::V4(ip)))),
            Ok(url::Host::Ipv6(ip)) if !below => of_network(IpNet::from(IpAddr::V6(ip))),
            _ => Err(ALLOWED),
        }
    }
}

/// An address is compared in its shortest form, so a rule in another form would never hold.
fn of_network(network: IpNet) -> Result<Rule, &'static str> {
    match network {
        IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some() => Err("must be written as an IPv4 network"),
        network => Ok(Rule::Network(network.trunc())),
    }
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')
}

const ALLOWED: &str = "must hold networks (10.0.0.0/8), addresses (::1) and names (hooks.example, *.example)";

#[derive(Debug, Clone, Default)]
pub(super) struct EgressRules(pub Vec<Rule>);

impl EgressRules {
    pub(super) fn has_address(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|rule| matches!(rule, Rule::Network(network) if network.contains(&ip)))
    }

    /// `name` as [`normal`] has it.
    pub(super) fn has_name(&self, name: &str) -> bool {
        self.0.iter().any(|rule| match rule {
            Rule::Network(_) => false,
            Rule::Name(own) => own == name,
            Rule::NamesBelow(suffix) => name.ends_with(suffix.as_str()),
        })
    }
}

/// A name as rules compare it: in lower case, without the dot of the root.
pub(super) fn normal(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// One element of `egress.ports_denied`: `6379`, `6660-6669`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports(RangeInclusive<u16>);

impl Ports {
    /// # Errors
    /// Says what it may be.
    pub fn parse(text: &str) -> Result<Ports, &'static str> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let ports = first.trim().parse().ok().zip(last.trim().parse().ok());
        let ports = ports.filter(|(first, last): &(u16, u16)| first <= last);
        ports.map(|(first, last)| Ports(first..=last)).ok_or("must hold ports (6379) and ranges of them (6660-6669)")
    }

    pub(super) fn contains(&self, port: u16) -> bool {
        self.0.contains(&port)
    }
}
