//! ○ The addresses that are public: the special-purpose registries of IANA as a table, and the addresses within addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use smallvec::{SmallVec, smallvec};

/// Every address that a connection to `ip` may end at. IPv6 has many ways to write an IPv4 address, and a translator or
/// tunnel on the way turns each into a connection to that: mapped and NAT64 addresses are nothing but the IPv4 address;
/// of the others (compatible, 6to4, Teredo) both must be allowed.
pub(super) fn meant_by(ip: IpAddr) -> SmallVec<[IpAddr; 3]> {
    let IpAddr::V6(v6) = ip else { return smallvec![ip] };
    let s = v6.segments();
    let v4 = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match s {
        // ::ffff:a.b.c.d and 64:ff9b::a.b.c.d (RFC 6052)
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => smallvec![v4(high, low)],
        // :: and ::1 are themselves.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => smallvec![ip],
        // ::a.b.c.d (deprecated), ::ffff:0:a.b.c.d (RFC 2765) and 64:ff9b:1::a.b.c.d (RFC 8215)
        [0, 0, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] | [0x64, 0xff9b, 1, _, _, _, high, low] => {
            smallvec![ip, v4(high, low)]
        }
        [0x2002, high, low, ..] => smallvec![ip, v4(high, low)],
        // The server, and the client with its bits inverted (RFC 4380).
        [0x2001, 0, high, low, _, _, client_high, client_low] => {
            smallvec![ip, v4(high, low), v4(!client_high, !client_low)]
        }
        _ => smallvec![ip],
    }
}

/// Nobody's endpoint is there, so not even the operator can allow it.
pub(super) fn is_never_allowed(ip: IpAddr) -> bool {
    NEVER.iter().any(|network| network.contains(&ip))
}

/// Reachable from everywhere, so reaching it from here gives nothing away.
pub(super) fn is_public(ip: IpAddr) -> bool {
    let is_global = match ip {
        IpAddr::V4(_) => true,
        IpAddr::V6(ip) => GLOBAL_V6.contains(&ip),
    };
    is_global && !is_never_allowed(ip) && !SPECIAL.iter().any(|network| network.contains(&ip))
}

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits))
}

const fn v6(first: [u16; 4], last: u16, bits: u8) -> IpNet {
    let [a, b, c, d] = first;
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, 0, 0, 0, last), bits))
}

/// The only range of IPv6 from which public addresses are given out.
const GLOBAL_V6: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

const NEVER: [IpNet; 12] = [
    v4(0, 0, 0, 0, 8),                    // "this network"; 0.0.0.0 is this machine
    v4(169, 254, 0, 0, 16),               // link-local, and the metadata services of most clouds
    v4(100, 100, 100, 200, 32),           // Alibaba's metadata
    v4(168, 63, 129, 16, 32),             // Azure's
    v4(192, 0, 0, 192, 32),               // Oracle's
    v4(224, 0, 0, 0, 4),                  // multicast
    v4(240, 0, 0, 0, 4),                  // reserved, and broadcast
    v6([0, 0, 0, 0], 0, 128),             // this machine
    v6([0xfe80, 0, 0, 0], 0, 10),         // link-local
    v6([0xff00, 0, 0, 0], 0, 8),          // multicast
    v6([0xfd00, 0xec2, 0, 0], 0, 64),     // Amazon's metadata: fd00:ec2::254, ::23
    v6([0xfd20, 0xce, 0, 0], 0x254, 128), // Google's
];

const SPECIAL: [IpNet; 15] = [
    v4(10, 0, 0, 0, 8),               // private
    v4(100, 64, 0, 0, 10),            // shared by carriers
    v4(127, 0, 0, 0, 8),              // loopback
    v4(172, 16, 0, 0, 12),            // private
    v4(192, 0, 0, 0, 24),             // protocol assignments
    v4(192, 0, 2, 0, 24),             // documentation
    v4(192, 88, 99, 0, 24),           // 6to4 relays
    v4(192, 168, 0, 0, 16),           // private
    v4(198, 18, 0, 0, 15),            // benchmarks
    v4(198, 51, 100, 0, 24),          // documentation
    v4(203, 0, 113, 0, 24),           // documentation
    v6([0x2001, 0, 0, 0], 0, 23),     // protocol assignments, Teredo among them
    v6([0x2001, 0xdb8, 0, 0], 0, 32), // documentation
    v6([0x2002, 0, 0, 0], 0, 16),     // 6to4
    v6([0x3fff, 0, 0, 0], 0, 20),     // documentation
];
