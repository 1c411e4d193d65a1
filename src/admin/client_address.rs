//! ○ The address a request comes from: that of its connection, or, behind a proxy that the configuration trusts, the one
//! that this proxy saw.

use std::net::IpAddr;

use ipnet::IpNet;

/// Networks of proxies, whose headers about the client are believed: `admin.trusted_proxies`.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Each is a network or a single address.
    ///
    /// # Errors
    /// What the text has to be.
    pub fn parse<T: AsRef<str>>(networks: &[T]) -> Result<Self, &'static str> {
        let parse = |text: &T| network(text.as_ref());
        networks.iter().map(parse).collect::<Option<_>>().map(TrustedProxies).ok_or(NETWORK_EXPECTED)
    }

    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The client's address. The headers are read from their right end, where the nearest proxy has written: the first
    /// address that is not a trusted proxy's is the client's. Anything that is no address ends the search, because whatever
    /// is left of it cannot be believed.
    #[must_use]
    pub fn client<'a>(&self, peer: IpAddr, headers: ForwardedHeaders<'a>) -> IpAddr {
        let mut nearest = peer.to_canonical();
        let mut hops = headers.hops();
        while self.trusts(nearest) {
            match hops.pop().and_then(address_of_hop) {
                Some(address) => nearest = address.to_canonical(),
                None => break,
            }
        }
        nearest
    }
}

/// Headers of proxies about the client, each one's lines in their order.
#[derive(Debug, Clone, Default)]
pub struct ForwardedHeaders<'a> {
    /// `Forwarded` (RFC 7239).
    pub forwarded: Vec<&'a str>,
    /// `X-Forwarded-For`; read where there is no `Forwarded`.
    pub x_forwarded_for: Vec<&'a str>,
}

impl<'a> ForwardedHeaders<'a> {
    /// Addresses as they were written, the nearest proxy's last.
    fn hops(&self) -> Vec<&'a str> {
        let elements = |lines: &[&'a str]| -> Vec<&'a str> { lines.iter().flat_map(|line| line.split(',')).collect() };
        if self.forwarded.is_empty() {
            return elements(&self.x_forwarded_for);
        }
        elements(&self.forwarded).into_iter().map(|element| for_parameter(element).unwrap_or_default()).collect()
    }
}

/// The network that an address stands for: an IPv6 client has a whole /64 of addresses.
#[must_use]
pub fn site(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// `for` of one element of `Forwarded`.
fn for_parameter(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim().trim_matches('"'))
    })
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn address_of_hop(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    if let Some(bracketed) = hop.strip_prefix('[') {
        return bracketed.split_once(']')?.0.parse().ok();
    }
    let without_port = hop.split_once(':').filter(|(_, port)| !port.contains(':')).map_or(hop, |(host, _)| host);
    without_port.parse().ok()
}

const NETWORK_EXPECTED: &str = "must hold networks or addresses, such as \"10.0.0.0/8\"";

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[track_caller]
    fn check(peer: &str, x_forwarded_for: &[&str], forwarded: &[&str], expected: &str) {
        let proxies = TrustedProxies::parse(&["10.0.0.0/8", "2001:db8:ffff::/48"]).expect("networks");
        let headers = ForwardedHeaders { forwarded: forwarded.to_vec(), x_forwarded_for: x_forwarded_for.to_vec() };
        assert_eq!(proxies.client(ip(peer), headers), ip(expected), "{peer} {x_forwarded_for:?} {forwarded:?}");
    }

    #[test]
    fn a_header_counts_only_when_a_trusted_proxy_has_sent_it() {
        check("192.0.2.9", &["198.51.100.1"], &[], "192.0.2.9");
        check("10.1.1.1", &["198.51.100.1"], &[], "198.51.100.1");
        check("::ffff:10.1.1.1", &["198.51.100.1"], &[], "198.51.100.1");
        check("10.1.1.1", &[], &[], "10.1.1.1");
    }

    #[test]
    fn of_several_addresses_the_last_one_that_is_no_proxys_is_the_clients() {
        check("10.1.1.1", &["203.0.113.7, 198.51.100.1, 10.2.2.2"], &[], "198.51.100.1");
        check("10.1.1.1", &["203.0.113.7", "198.51.100.1,10.2.2.2"], &[], "198.51.100.1");
        check("10.1.1.1", &["10.3.3.3, 10.2.2.2"], &[], "10.3.3.3");
        // What a client claims stands on the left, and is not reached.
        check("10.1.1.1", &["10.9.9.9, 198.51.100.1"], &[], "198.51.100.1");
    }

    #[test]
    fn what_is_no_address_ends_the_search_at_the_nearest_proxy() {
        check("10.1.1.1", &["198.51.100.1, unknown"], &[], "10.1.1.1");
        check("10.1.1.1", &["198.51.100.1, , 10.2.2.2"], &[], "10.2.2.2");
    }

    #[test]
    fn both_headers_and_all_ways_to_write_an_address_are_read() {
        check("10.1.1.1", &["198.51.100.1:4711"], &[], "198.51.100.1");
        check("10.1.1.1", &["[2001:db8::1]:80"], &[], "2001:db8::1");
        check("10.1.1.1", &["2001:db8::1"], &[], "2001:db8::1");
        let forwarded = &["for=203.0.113.7;proto=https, For=\"[2001:db8::2]:80\";by=10.0.0.1"];
        check("2001:db8:ffff::1", &["198.51.100.1"], forwarded, "2001:db8::2");
        check("10.1.1.1", &[], &["for=_hidden"], "10.1.1.1");
    }

    #[test]
    fn a_network_of_ipv6_is_one_site() {
        assert_eq!(site(ip("2001:db8::1")), site(ip("2001:db8::ffff:1")));
        assert_ne!(site(ip("2001:db8::1")), site(ip("2001:db8:0:1::1")));
        assert_eq!(site(ip("::ffff:192.0.2.1")), ip("192.0.2.1"));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for wrong in ["proxy.example", "10.0.0.0/33", ""] {
            assert!(TrustedProxies::parse(&[wrong]).is_err(), "{wrong}");
        }
        assert!(TrustedProxies::parse(&["192.0.2.1"]).expect("an address").trusts(ip("192.0.2.1")));
    }
}
