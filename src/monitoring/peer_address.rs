//! ○ Addresses at which another instance may be asked. They come from the database: someone who can write there must
//! not be able to send this instance to any address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::Host;

/// True if this is HOST:PORT, and not a place where no instance can be: link-local addresses above all, where clouds tell
/// machines their secrets.
///
/// # Errors
/// Says why not.
pub(super) fn check(address: &str) -> Result<(), &'static str> {
    let malformed = "its address is not HOST:PORT";
    let (host, port) = address.rsplit_once(':').ok_or(malformed)?;
    let is_port = port.bytes().all(|digit| digit.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    if !is_port || host.contains(['/', '?', '#', '@', '\\', '%']) {
        return Err(malformed);
    }
    let ip = match Host::parse(host).map_err(|_| malformed)? {
        Host::Domain(name) if METADATA.contains(&name.as_str()) => return Err(FORBIDDEN),
        Host::Domain(_) => return Ok(()),
        Host::Ipv4(ip) => IpAddr::V4(ip),
        Host::Ipv6(ip) => ip.to_canonical(),
    };
    let is_forbidden = match ip {
        IpAddr::V4(ip) => is_forbidden_v4(ip),
        IpAddr::V6(ip) => is_forbidden_v6(ip),
    };
    if is_forbidden { Err(FORBIDDEN) } else { Ok(()) }
}

fn is_forbidden_v4(ip: Ipv4Addr) -> bool {
    ip.is_link_local() || ip.is_multicast() || ip.is_unspecified() || ip.is_broadcast()
}

fn is_forbidden_v6(ip: Ipv6Addr) -> bool {
    // The last one is where a cloud's metadata are.
    ip.is_unicast_link_local() || ip.is_multicast() || ip.is_unspecified() || ip == METADATA_V6
}

const FORBIDDEN: &str = "its address is one where no instance can be";
const METADATA: [&str; 2] = ["metadata.google.internal", "metadata"];
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_are_asked_at_hosts_and_addresses_with_a_port() {
        for address in ["10.1.2.3:8080", "127.0.0.1:1", "[fd00::1]:8080", "postrider-0.postrider:8081", "[::1]:80"] {
            assert_eq!(check(address), Ok(()), "{address}");
        }
    }

    #[test]
    fn places_where_no_instance_can_be_are_not_asked() {
        for address in [
            "169.254.169.254:80",
            "[fe80::1]:80",
            "[::ffff:169.254.169.254]:80",
            "0xa9fea9fe:80",
            "2852039166:80",
            "[fd00:ec2::254]:80",
            "metadata.google.internal:80",
            "0.0.0.0:8080",
            "[::]:8080",
            "224.0.0.1:80",
        ] {
            assert_eq!(check(address), Err(FORBIDDEN), "{address}");
        }
    }

    #[test]
    fn what_is_no_address_is_none() {
        for address in [
            "",
            "host",
            "host:",
            "host:0",
            "host:99999",
            "host:+80",
            "evil/path:80",
            "user@host:80",
            "a b:80",
            "host:80/x",
        ] {
            assert!(check(address).is_err(), "{address}");
        }
    }
}
