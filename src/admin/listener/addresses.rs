//! ○ Connections of each client address, so that neither one address nor a few take all places.

use std::net::IpAddr;

use crate::{admin::client_address::site, fair_share::shares::BoundedShares};

/// Connections by address; IPv6 by its /64.
#[derive(Debug)]
pub(super) struct ConnectionsByAddress {
    places: BoundedShares<IpAddr>,
    each_max: usize,
}

impl ConnectionsByAddress {
    /// `places` for all of them, and no more than `each_max` for one.
    #[must_use]
    pub(super) fn new(places: usize, each_max: usize) -> Self {
        ConnectionsByAddress { places: BoundedShares::new(places.max(2)), each_max: each_max.max(1) }
    }

    /// Counts a connection; false when the address has as many as it may.
    pub(super) fn take(&mut self, address: IpAddr) -> bool {
        let site = site(address);
        self.places.held(&site) < self.each_max && self.places.take(&site, 1).is_ok()
    }

    /// One that was counted is closed.
    pub(super) fn release(&mut self, address: IpAddr) {
        self.places.give_back(&site(address), 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_with_all_its_places_leaves_those_of_others_alone() {
        let [one, neighbour, other] =
            ["2001:db8::1", "2001:db8::2", "192.0.2.1"].map(|text| text.parse().expect("an address"));
        let mut addresses = ConnectionsByAddress::new(100, 3);
        let taken = (0..10).filter(|_| addresses.take(one)).count();
        assert_eq!((taken, addresses.take(neighbour), addresses.take(other)), (3, false, true));
        addresses.release(neighbour);
        assert!(addresses.take(one), "a network is one address");
        for _ in 0..3 {
            addresses.release(one);
        }
        addresses.release(other);
        assert_eq!(addresses.places.taken(), 0);
    }

    #[test]
    fn several_addresses_that_take_what_they_can_leave_places_for_another() {
        let address = |number: u8| IpAddr::from([192, 0, 2, number]);
        let mut addresses = ConnectionsByAddress::new(90, 60);
        for _ in 0..100 {
            for number in 0..8 {
                addresses.take(address(number));
            }
        }
        assert_eq!(addresses.places.held(&address(3)), 10);
        let others = (0..5).filter(|_| addresses.take(address(99))).count();
        assert_eq!(others, 5);
    }
}
