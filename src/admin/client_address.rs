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

    /// The client's address. A header is read from its right end, where the nearest proxy has written: the first address that
    /// is not a trusted proxy's is the client's. Anything that is no address ends the search, because whatever is left of it
    /// cannot be believed.
    ///
    /// Most proxies write one of the two headers and pass the other one on as the client sent it. Where they differ, neither is
    /// believed.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &ForwardedHeaders<'_>) -> IpAddr {
        let peer = peer.to_canonical();
        let said = [headers.x_forwarded_for(), headers.forwarded()];
        let mut clients = said.into_iter().filter(|hops| !hops.is_empty()).map(|hops| self.client_of(peer, hops));
        let client = clients.next().unwrap_or(peer);
        if clients.all(|other| other == client) { client } else { peer }
    }

    fn client_of(&self, peer: IpAddr, mut hops: Vec<&str>) -> IpAddr {
        let mut nearest = peer;
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
    pub x_forwarded_for: Vec<&'a str>,
}

/// Addresses as they were written, the nearest proxy's last.
impl<'a> ForwardedHeaders<'a> {
    fn x_forwarded_for(&self) -> Vec<&'a str> {
        self.x_forwarded_for.iter().flat_map(|line| line.split(',')).collect()
    }

    fn forwarded(&self) -> Vec<&'a str> {
        let elements = self.forwarded.iter().flat_map(|line| line.split(','));
        elements.map(|element| for_parameter(element).unwrap_or_default()).collect()
    }
}

/// The part of a header's line that can be read, its end: a proxy appends to what the client sent, which may be any bytes.
#[must_use]
pub fn readable_end(line: &[u8]) -> &str {
    let behind_comma = |odd: usize| line[odd..].iter().position(|byte| *byte == b',').map_or(line.len(), |at| odd + at);
    let start = line.iter().rposition(|byte| !byte.is_ascii()).map_or(0, behind_comma);
    std::str::from_utf8(&line[start..]).unwrap_or_default()
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
        assert_eq!(proxies.client(ip(peer), &headers), ip(expected), "{peer} {x_forwarded_for:?} {forwarded:?}");
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
    fn all_ways_to_write_an_address_are_read() {
        check("10.1.1.1", &["198.51.100.1:4711"], &[], "198.51.100.1");
        check("10.1.1.1", &["[2001:db8::1]:80"], &[], "2001:db8::1");
        check("10.1.1.1", &["2001:db8::1"], &[], "2001:db8::1");
        let forwarded = &["for=203.0.113.7;proto=https, For=\"[2001:db8::2]:80\";by=10.0.0.1"];
        check("2001:db8:ffff::1", &[], forwarded, "2001:db8::2");
        check("10.1.1.1", &[], &["for=_hidden"], "10.1.1.1");
    }

    #[test]
    fn a_header_that_the_proxy_passed_on_as_the_client_wrote_it_is_not_believed() {
        check("10.1.1.1", &["198.51.100.1"], &["for=203.0.113.7"], "10.1.1.1");
        check("10.1.1.1", &["203.0.113.7"], &["for=198.51.100.1"], "10.1.1.1");
        check("10.1.1.1", &["198.51.100.1"], &["for=10.9.9.9, for=198.51.100.1"], "198.51.100.1");
        check("192.0.2.9", &["198.51.100.1"], &["for=203.0.113.7"], "192.0.2.9");
    }

    #[test]
    fn bytes_of_the_client_that_are_no_text_hide_nothing_of_what_the_proxy_wrote() {
        assert_eq!(readable_end(b"203.0.113.7, 198.51.100.1"), "203.0.113.7, 198.51.100.1");
        let end = readable_end(b"\xff203.0.113.7, 198.51.100.1");
        check("10.1.1.1", &[end], &[], "198.51.100.1");
        assert_eq!(readable_end(b"198.51.100.1, \xff"), "", "there is a line, and nothing in it can be read");
        check("10.1.1.1", &[""], &[], "10.1.1.1");
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
