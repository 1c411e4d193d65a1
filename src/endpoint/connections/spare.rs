//! ● Places for attempts beside the first one of a connection, of which no customer may have more than its part.

use std::{cell::RefCell, collections::HashMap, rc::Rc, sync::Arc};

use super::{ConnectionPermit, Shared};

/// Spare places that are held, by customer. Customers that hold none are not in it.
pub(super) struct SparePlaces {
    max: usize,
    held: RefCell<HashMap<Arc<str>, usize>>,
}

/// The right to have one more attempt under way.
pub struct SparePlace {
    shared: Rc<Shared>,
    customer: Arc<str>,
    _permit: ConnectionPermit,
}

impl SparePlaces {
    pub(super) fn new(max: usize) -> Self {
        SparePlaces { max, held: RefCell::default() }
    }

    fn may_take(&self, customer: &Arc<str>) -> bool {
        let held = self.held.borrow();
        let own = held.get(customer).copied().unwrap_or(0);
        own < self.max.div_ceil(CUSTOMER_PART) && held.values().sum::<usize>() < self.max
    }

    fn give_back(&self, customer: &Arc<str>) {
        let mut held = self.held.borrow_mut();
        let own = held.get(customer).copied().unwrap_or(0);
        match own {
            0 | 1 => drop(held.remove(customer)),
            _ => drop(held.insert(Arc::clone(customer), own - 1)),
        }
    }
}

impl SparePlace {
    /// One for an attempt of this customer, if there is one and a connection more may be open. None is closed for it: it may
    /// be for nothing.
    pub(super) fn take(shared: &Rc<Shared>, customer: &Arc<str>) -> Option<Self> {
        if shared.taken.get() >= shared.connections_max || !shared.spare.may_take(customer) {
            return None;
        }
        *shared.spare.held.borrow_mut().entry(Arc::clone(customer)).or_default() += 1;
        let permit = ConnectionPermit::taken(shared);
        Some(SparePlace { shared: Rc::clone(shared), customer: Arc::clone(customer), _permit: permit })
    }
}

impl Drop for SparePlace {
    fn drop(&mut self) {
        self.shared.spare.give_back(&self.customer);
    }
}

/// The rest of so many connections: of all, at least this part is left for attempts beside the first one of a connection.
#[must_use]
pub fn without_spare(connections_max: usize) -> usize {
    connections_max - connections_max / SPARE_PART
}

const SPARE_PART: usize = 16;
/// One customer's silent hosts leave places for those of the others.
const CUSTOMER_PART: usize = 4;
