//! Shares of holders, whatever the others want.

use proptest::prelude::*;

use super::*;

type Share = FairShare<u32, u32, u64>;

/// Takes as many as it may have.
fn take_all(share: &mut Share, customer: u32, member: u32) -> usize {
    (0..).take_while(|_| share.try_take(&customer, &member)).count()
}

/// A customer with so many members takes as many as it may have.
fn attack(share: &mut Share, customer: u32, members: u32) -> usize {
    let mut held = 0;
    loop {
        let taken = (0..members).filter(|member| share.try_take(&customer, member)).count();
        if taken == 0 {
            return held;
        }
        held += taken;
    }
}

fn assert_about(got: usize, share: f64, of: usize) {
    let part = got as f64 / of as f64;
    assert!((part - share).abs() < 0.02, "{part:.3} is not about {share}");
}

#[test]
fn a_customer_alone_gets_most_of_it_and_a_member_alone_a_third() {
    let mut share = Share::new(8_192);
    assert_about(attack(&mut share, 1, 64), 0.57, 8_192);
    let mut share = Share::new(8_192);
    assert_about((0..).take_while(|member| share.try_take(&1, member)).count(), 0.61, 8_192);
    let mut share = Share::new(8_192);
    assert_about(take_all(&mut share, 1, 1), 0.37, 8_192);
}

#[test]
fn what_is_obtainable_is_what_can_be_taken() {
    for (units, customers) in [(1, 1), (5, 2), (64, 3), (1_000, 1), (1_000, 12)] {
        let mut share = Share::new(units);
        for customer in 0..customers {
            let expected = share.obtainable(&customer, &0, usize::MAX);
            assert_eq!(take_all(&mut share, customer, 0), expected, "{units} units, customer {customer}");
            assert_eq!(share.obtainable(&customer, &0, 10), 0);
        }
    }
    assert_eq!(Share::new(1_000).obtainable(&1, &1, 7), 7, "no more than is asked for");
}

#[test]
fn one_that_took_all_it_may_has_its_share_and_one_that_finds_nothing_has_not() {
    for units in 1..200 {
        for customers in 1..12_u32 {
            let mut share = Share::new(units);
            let everybody = || (0..4).flat_map(|member| (0..customers).map(move |customer| (customer, member)));
            while everybody().filter(|(customer, member)| share.try_take(customer, member)).count() > 0 {}
            for customer in 0..customers {
                (0..4).for_each(|member| share.wait(&customer, &member, 0));
            }
            for customer in 0..customers {
                let (held, _) = share.held(&customer, &0);
                let has_share = share.has_share(&customer, &0);
                assert_eq!(has_share, held > 0, "{units} units, {customers} customers: {customer} holds {held}");
            }
            assert!(!share.has_share(&99, &1));
        }
    }
}

#[test]
fn one_within_its_share_does_not_wait_by_its_own_doing() {
    let mut share = Share::new(1_000);
    attack(&mut share, 1, 8);
    assert!(share.has_share(&1, &0));
    assert!(share.try_take(&2, &1));
    assert!(!share.has_share(&2, &1), "the other customer holds more than half");
}

#[test]
fn few_units_are_shared_too() {
    for units in 1..64 {
        let mut share = Share::new(units);
        assert!(attack(&mut share, 1, 4) >= 1, "{units}");
        assert_eq!(share.try_take(&2, &1), units > 1, "{units}: there is one for another");
    }
}

#[test]
fn customers_that_want_all_get_the_same_whoever_begins_once_units_come_back() {
    let mut share = Share::new(4_096);
    let mut held = vec![attack(&mut share, 0, 8), 0, 0, 0];
    for customer in 0..4_u32 {
        (0..4_096).for_each(|waiter| share.wait(&customer, &(waiter % 8), u64::from(customer)));
    }
    let hand_out = |share: &mut Share, held: &mut Vec<usize>| {
        while let Some(handed) = share.hand_out() {
            held[handed.customer as usize] += 1;
        }
    };
    hand_out(&mut share, &mut held);
    for member in (0..8).cycle().take(held[0]) {
        share.give_back(&0, &member);
        held[0] -= 1;
        hand_out(&mut share, &mut held);
    }
    let (least, most) = (held.iter().min().copied().unwrap_or(0), held.iter().max().copied().unwrap_or(0));
    assert!(most - least <= 2, "{held:?}");
    assert!(held.iter().sum::<usize>() > 2_900, "{held:?}");
}

#[test]
fn one_that_wants_little_is_served_at_once_beside_many_that_take_all() {
    let mut share = Share::new(8_192);
    for attacker in 0..12 {
        assert!(attack(&mut share, attacker, 64) >= 1);
    }
    for wanted in 0..4 {
        assert!(share.try_take(&99, &wanted), "the {wanted}th of the customer that came last");
    }
    for attacker in 100..140 {
        attack(&mut share, attacker, 64);
    }
    assert!(share.try_take(&999, &1), "whoever comes after more than fifty of them");
}

#[test]
fn a_hung_member_leaves_its_customers_share_to_the_others() {
    let mut share = Share::new(1_024);
    take_all(&mut share, 1, 1);
    for member in 2..6 {
        assert!(take_all(&mut share, 1, member) >= 10, "member {member}");
    }
    assert!(share.try_take(&2, &1), "and something to other customers");
}

#[test]
fn the_next_unit_goes_to_the_one_that_holds_least_and_equals_take_turns() {
    let mut share = Share::new(4);
    let taken: Vec<u32> = (0..4).filter(|customer| share.try_take(customer, &0)).collect();
    assert_eq!(taken, [0, 1, 2, 3]);
    for (waiter, customer) in [(0, 1), (1, 7), (2, 8), (3, 7), (4, 8)] {
        share.wait(&customer, &0, waiter);
    }
    assert!(share.hand_out().is_none(), "nothing is free");
    let mut order = Vec::new();
    for customer in 0..4 {
        share.give_back(&customer, &0);
        order.extend(std::iter::from_fn(|| share.hand_out()).map(|handed| handed.waiter));
    }
    assert_eq!(order[..2], [1, 2], "those that hold none come before the one that holds one");
    assert_eq!(share.waiting(), 5 - order.len());
}

#[test]
fn of_a_customers_members_the_one_that_holds_least_is_next() {
    let mut share = Share::new(64);
    let held = take_all(&mut share, 1, 1);
    assert!(held > 1);
    share.wait(&1, &1, 1);
    share.wait(&1, &2, 2);
    (0..held).for_each(|_| share.give_back(&1, &1));
    let order: Vec<u64> = std::iter::from_fn(|| share.hand_out()).map(|handed| handed.waiter).collect();
    assert_eq!(order[0], 1, "both hold none now: the first that came");
    assert_eq!(order.len(), 2);
}

#[test]
fn nothing_is_kept_of_those_who_hold_nothing() {
    let mut share = Share::new(8);
    assert!(share.try_take(&1, &1) && share.try_take(&1, &2));
    share.give_back(&1, &1);
    share.give_back(&1, &2);
    assert!(share.customers.is_empty() && share.queue.is_empty());
    assert_eq!(share.free(), 8);
}

#[derive(Clone, Debug)]
enum Step {
    Ask(u32, u32),
    GiveBack(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..12_u32, 0..4_u32).prop_map(|(customer, member)| Step::Ask(customer, member)),
        // One that asks for everything.
        2 => (0..4_u32).prop_map(|member| Step::Ask(0, member)),
        1 => any::<usize>().prop_map(Step::GiveBack),
    ];
    prop::collection::vec(step, 0..600)
}

/// A slow model for comparison: who holds what, in a list.
#[derive(Default)]
struct Held(Vec<(u32, u32)>);

impl Held {
    fn of(&self, customer: u32) -> usize {
        self.0.iter().filter(|held| held.0 == customer).count()
    }

    fn by_customer(&self) -> Vec<usize> {
        (0..12).map(|customer| self.of(customer)).filter(|held| *held > 0).collect()
    }
}

/// The reason why it holds: order the customers by when each got its last unit. When the j-th got it, `F` were free and it held
/// `h_j ≤ 4 F² / C`; those before it have got nothing since, so `F` was at most `G_j`, which is what would be free if only
/// the first `j` held what they hold now. So `G_(j-1) = G_j + h_j ≤ G_j + 4 G_j² / C`, which is
/// `1/G_j - 1/G_(j-1) ≤ 4/C`, and `1/G_n ≤ (4n + 1)/C`. A customer's first unit is given whatever is free: it is counted apart.
fn assert_reserve(share: &Share, held: &Held, units: usize) {
    let by_customer = held.by_customer();
    let single = by_customer.iter().filter(|held| **held == 1).count();
    let several = by_customer.len() - single;
    let reserve = units as f64 / (4.0 * several as f64 + 1.0);
    assert!((share.free() + single) as f64 >= reserve.floor(), "{} free, {by_customer:?}", share.free());
}

proptest! {
    #[test]
    fn there_is_always_something_for_a_customer_that_comes(units in 1_usize..300, steps in steps()) {
        let mut share = Share::new(units);
        let (mut held, mut waiting, mut next) = (Held::default(), Vec::new(), 0_u64);
        for step in steps {
            match step {
                Step::Ask(customer, member) => {
                    let free = share.free();
                    if share.try_take(&customer, &member) {
                        held.0.push((customer, member));
                    } else {
                        prop_assert!(held.of(customer) > 0 || free == 0, "one that holds none gets one while any is free");
                        share.wait(&customer, &member, next);
                        waiting.push(next);
                        next += 1;
                    }
                }
                Step::GiveBack(which) if !held.0.is_empty() => {
                    let (customer, member) = held.0.swap_remove(which % held.0.len());
                    share.give_back(&customer, &member);
                }
                Step::GiveBack(_) => {}
            }
            while let Some(handed) = share.hand_out() {
                waiting.retain(|waiter| *waiter != handed.waiter);
                held.0.push((handed.customer, handed.member));
            }
            prop_assert_eq!(share.free() + held.0.len(), units, "no unit is lost or made");
            prop_assert_eq!(share.waiting(), waiting.len(), "nobody is forgotten");
            assert_reserve(&share, &held, units);
        }
        // Whatever happened: when all is given back, all who wait are served.
        while let Some((customer, member)) = held.0.pop() {
            share.give_back(&customer, &member);
            while let Some(handed) = share.hand_out() {
                waiting.retain(|waiter| *waiter != handed.waiter);
                held.0.push((handed.customer, handed.member));
            }
        }
        prop_assert!(waiting.is_empty());
        prop_assert_eq!(share.free(), units);
        prop_assert!(share.customers.is_empty());
    }

    #[test]
    fn holding_more_needs_more(units in 1_usize..20_000, held in 0_usize..5_000, by_member in 0_usize..5_000) {
        let by_member = by_member.min(held);
        prop_assert!(need(units, held, by_member) <= need(units, held + 1, by_member));
        prop_assert!(need(units, held, by_member) <= need(units, held + 1, by_member + 1));
        prop_assert!(by_member == held || need(units, held, by_member) <= need(units, held, by_member + 1));
    }
}
