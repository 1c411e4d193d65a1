//! ○ Letters in flight, and how many more of each customer may be: no customer's letters leave none of the room to others.

use std::collections::{HashMap, HashSet};

use crate::{
    fair_share::shares::{BoundedShares, Holder},
    store::redrives::RedriveCandidate,
};

/// Letters in flight, all endpoints together.
pub(super) struct LettersInFlight {
    ids: HashSet<String>,
    endpoints: HashMap<String, usize>,
    letters: BoundedShares,
    bytes: BoundedShares,
}

/// A letter's place in flight. To be given back.
pub(super) struct FlightPlace {
    pub(super) id: String,
    endpoint_id: String,
    customer_id: Holder,
    bytes: usize,
}

impl LettersInFlight {
    pub(super) fn new(letters_max: usize, bytes_max: usize) -> Self {
        LettersInFlight {
            ids: HashSet::new(),
            endpoints: HashMap::new(),
            letters: BoundedShares::new(letters_max),
            bytes: BoundedShares::new(bytes_max),
        }
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    pub(super) fn of_endpoint(&self, endpoint_id: &str) -> usize {
        self.endpoints.get(endpoint_id).copied().unwrap_or(0)
    }

    /// A place for a letter, unless its customer has its share of letters or of bytes.
    pub(super) fn take(&mut self, letter: &RedriveCandidate) -> Option<FlightPlace> {
        let customer_id: Holder = letter.customer_id.as_str().into();
        // One that is larger than what a customer alone may have goes as its only one.
        let bytes = usize::try_from(letter.bytes).unwrap_or(0).clamp(1, (self.bytes.capacity() / 2).max(1));
        self.letters.take(&customer_id, 1).ok()?;
        if self.bytes.take(&customer_id, bytes).is_err() {
            self.letters.give_back(&customer_id, 1);
            return None;
        }
        self.ids.insert(letter.id.clone());
        *self.endpoints.entry(letter.endpoint_id.clone()).or_default() += 1;
        Some(FlightPlace { id: letter.id.clone(), endpoint_id: letter.endpoint_id.clone(), customer_id, bytes })
    }

    pub(super) fn give_back(&mut self, place: &FlightPlace) {
        self.ids.remove(&place.id);
        self.letters.give_back(&place.customer_id, 1);
        self.bytes.give_back(&place.customer_id, place.bytes);
        if let Some(count) = self.endpoints.get_mut(&place.endpoint_id) {
            *count -= 1;
            if *count == 0 {
                self.endpoints.remove(&place.endpoint_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(id: &str, customer_id: &str, bytes: i64) -> RedriveCandidate {
        RedriveCandidate {
            id: id.to_owned(),
            endpoint_id: format!("ep_of_{customer_id}"),
            customer_id: customer_id.to_owned(),
            topic: "orders".to_owned(),
            partition: 0,
            asked_ms: 0,
            bytes,
        }
    }

    #[test]
    fn a_customer_leaves_letters_and_bytes_to_others() {
        for bytes in [1, 100] {
            let mut in_flight = LettersInFlight::new(if bytes == 1 { 8 } else { 1_000 }, 800);
            let mut take = |id: &str, customer: &str| in_flight.take(&letter(id, customer, bytes));
            let greedy: Vec<_> = (0..8).map_while(|number| take(&format!("dl_{number}"), "greedy")).collect();
            assert_eq!(greedy.len(), 4, "letters of {bytes} bytes");
            assert!(take("dl_other", "modest").is_some());
        }
    }

    #[test]
    fn a_letter_that_is_larger_than_all_there_may_be_is_its_customers_only_one() {
        let mut in_flight = LettersInFlight::new(10, 100);
        let small = in_flight.take(&letter("dl_1", "cus_1", 40)).expect("room");
        assert!(in_flight.take(&letter("dl_2", "cus_1", 1_000)).is_none());
        in_flight.give_back(&small);
        let large = in_flight.take(&letter("dl_2", "cus_1", 1_000)).expect("room");
        assert!(in_flight.take(&letter("dl_3", "cus_1", 1)).is_none());
        assert!(in_flight.take(&letter("dl_4", "cus_2", 1)).is_some(), "others' small ones find room");
        assert!((in_flight.contains("dl_2"), in_flight.of_endpoint("ep_of_cus_1")) == (true, 1));
        in_flight.give_back(&large);
        assert!((in_flight.contains("dl_2"), in_flight.of_endpoint("ep_of_cus_1")) == (false, 0));
        assert!(in_flight.take(&letter("dl_3", "cus_1", 1)).is_some());
    }

    #[test]
    fn a_letter_does_not_go_for_less_than_its_bytes() {
        let mut in_flight = LettersInFlight::new(100, 100);
        let taken: Vec<_> =
            (0..10).filter_map(|n| in_flight.take(&letter(&format!("dl_{n}"), &format!("cus_{n}"), 30))).collect();
        assert_eq!(taken.len(), 3, "of 30 bytes each, within 100");
    }
}
