//! ○ Where the benchmark's endpoints are: each at a loopback address of its own, so that each is a host of its own
//! to connection pools. 127.1.0.1 is the first.

use std::net::Ipv4Addr;

/// At most 65,536 endpoints; the first is number 0.
pub fn of(endpoint: usize) -> Ipv4Addr {
    let number = endpoint + 1;
    Ipv4Addr::new(127, 1 + (number >> 16) as u8, (number >> 8) as u8, number as u8)
}

pub fn endpoint_of(address: Ipv4Addr) -> Option<usize> {
    let [_, high, middle, low] = address.octets();
    let number = (usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low)).checked_sub(1 << 16)?;
    number.checked_sub(1)
}

/// True for one endpoint in `every`.
pub fn is_one_in(endpoint: usize, every: usize) -> bool {
    endpoint.is_multiple_of(every)
}

pub fn url(scheme: &str, endpoint: usize, port: u16) -> String {
    format!("{scheme}://{}:{port}/hook", of(endpoint))
}

/// The key of the endpoint, and of its customer and subscription.
pub fn name(endpoint: usize) -> String {
    format!("bench-{endpoint:05}")
}

pub fn tenant(number: usize) -> String {
    format!("tenant-{number:05}")
}

/// How many endpoints the addresses are enough for.
pub const MAX: usize = 60_000;
