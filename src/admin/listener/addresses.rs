//! ○ Connections of each client address, so that no one address takes all places.

use std::{collections::HashMap, net::IpAddr};

use crate::admin::client_address::site;

/// Connections by address; IPv6 by its /64.
#[derive(Debug)]
pub struct Addresses {
    by_site: HashMap<IpAddr, usize>,
    each_max: usize,
}

impl Addresses {
    #[must_use]
    pub fn new(each_max: usize) -> Self {
        Addresses { by_site: HashMap::new(), each_max: each_max.max(1) }
    }

    /// Counts a connection; false when the address has as many as it may.
    pub fn take(&mut self, address: IpAddr) -> bool {
        let open = self.by_site.entry(site(address)).or_default();
        if *open >= self.each_max {
            return false;
        }
        *open += 1;
        true
    }

    /// One that was counted is closed.
    pub fn release(&mut self, address: IpAddr) {
        let site = site(address);
        if let Some(open) = self.by_site.get_mut(&site) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                self.by_site.remove(&site);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_with_all_its_places_leaves_those_of_others_alone() {
        let [one, neighbour, other] =
            ["2001:db8::1", "2001:db8::2", "192.0.2.1"].map(|text| text.parse().expect("an address"));
        let mut addresses = Addresses::new(3);
        let taken = (0..10).filter(|_| addresses.take(one)).count();
        assert_eq!((taken, addresses.take(neighbour), addresses.take(other)), (3, false, true));
        addresses.release(neighbour);
        assert!(addresses.take(one), "a network is one address");
        for _ in 0..3 {
            addresses.release(one);
        }
        addresses.release(other);
        assert!(addresses.by_site.is_empty(), "an address without connections is forgotten");
    }
}
