//! ○ The detector as cores share it: a contact counts at once where it matters, and is cheap where it does not.

use super::*;
use crate::{
    endpoint::delivery::testing::{ms, stream},
    model::url::EndpointUrl,
};

const CUSTOMERS_MIN: usize = 3;

fn fails(own: &LocalOutage, customer: u32, now: Instant) -> bool {
    let mut settings = stream();
    settings.customer_id = format!("cu_{customer}").into();
    settings.url = EndpointUrl::parse(&format!("https://hooks.customer{customer}.example/")).unwrap();
    own.failed(EndpointKey(customer), &settings, now)
}

#[test]
fn a_contact_ends_a_doubt_at_once_however_soon_it_follows_another() {
    let start = Instant::now();
    let own = LocalOutage::new(CUSTOMERS_MIN, start);
    own.reached(start + ms(1));
    let doubted = [1, 2, 3].map(|customer| fails(&own, customer, start + ms(2)));
    assert_eq!(doubted, [false, false, true]);
    own.reached(start + ms(3)); // sooner than contacts are told apart
    assert!(!fails(&own, 1, start + ms(4)), "who fails alone is to blame");
}

#[test]
fn contacts_that_follow_each_other_closely_are_kept_as_one() {
    let start = Instant::now();
    let own = LocalOutage::new(CUSTOMERS_MIN, start);
    own.reached(start + ms(100));
    own.reached(start + ms(100) + COARSE);
    assert_eq!(own.reached_at(), Some(start + ms(100)));
    own.reached(start + ms(101) + COARSE);
    assert_eq!(own.reached_at(), Some(start + ms(101) + COARSE));
}

#[test]
fn an_outage_is_seen_by_all_cores_until_somebody_is_reached() {
    let start = Instant::now();
    let own = LocalOutage::new(CUSTOMERS_MIN, start);
    for customer in 1..=3 {
        let _ = fails(&own, customer, start);
    }
    assert!(!own.is_on(), "a tick decides");
    let quiet = start + postrider_core::outage::QUIET;
    assert_eq!(own.handle_tick(quiet).change, Some(OutageChange::Began));
    assert!(own.is_on());
    own.reached(quiet + ms(1));
    assert!(matches!(own.handle_tick(quiet + ms(2)).change, Some(OutageChange::Ended { .. })));
    assert!(!own.is_on());
}
