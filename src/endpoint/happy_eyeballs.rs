//! ● Happy Eyeballs (RFC 8305): while an address does not answer, the next one of its host is tried beside it.
//!
//! **Invariant:** of one connection at most [`ATTEMPTS_AT_ONCE_MAX`] attempts are under way, and each beside the first holds a
//! spare place. Where there is none, an address is given up for the next one once it has had its part of the time.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    pin::Pin,
    time::{Duration, Instant},
};

use futures_util::future::select_all;

use super::connections::{is_local, lacks_handles};
use crate::clock;

/// Times of the attempts of one connection.
#[derive(Debug, Clone, Copy)]
pub struct AttemptTimes {
    /// After it the next address is tried, while those before it do not answer.
    pub delay: Duration,
    /// For all addresses.
    pub total: Duration,
    pub addresses: usize,
}

impl AttemptTimes {
    /// `total` is the time for all of so many addresses.
    #[must_use]
    pub fn new(total: Duration, addresses: usize) -> Self {
        let times = AttemptTimes { delay: ATTEMPT_DELAY, total, addresses };
        AttemptTimes { delay: ATTEMPT_DELAY.min(times.each_min(1)), ..times }
    }

    /// No address is given up for the next one before it has had so long, while so many share the time.
    fn each_min(&self, at_once: usize) -> Duration {
        let in_turn = self.addresses.max(1).div_ceil(at_once.max(1));
        self.total / u32::try_from(in_turn).unwrap_or(u32::MAX)
    }
}

/// Connects to the first of the addresses that takes a connection; the other attempts are dropped. Each address is tried once,
/// IPv4 and IPv6 in turn, and the next one at once where one fails. `spare` gives a place for an attempt beside another.
///
/// # Errors
/// When all have failed, or there is no handle for a single attempt. What is said of the endpoint counts more than what this
/// machine cannot do, such as IPv6.
pub async fn connect_first<C, F: Future<Output = io::Result<C>>, P>(
    addresses: &[SocketAddr],
    times: AttemptTimes,
    connect: impl Fn(SocketAddr) -> F,
    spare: impl Fn() -> Option<P>,
) -> io::Result<C> {
    let mut rest = in_turn(addresses);
    let (mut attempts, mut spares) = (Attempts(VecDeque::new()), Vec::new());
    let mut failed = None::<io::Error>;
    let mut is_turn = true;
    loop {
        if is_turn && let Some(address) = rest.pop_front() {
            attempts.0.push_back(Attempt { address, began: clock::now(), connecting: Box::pin(connect(address)) });
        }
        if attempts.0.is_empty() {
            return Err(failed.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()));
        }
        spares.truncate(attempts.0.len() - 1);
        let (error, place) = match attempts.first_end(Some(times.delay).filter(|_| !rest.is_empty())).await {
            Some((_, Ok(connection))) => return Ok(connection),
            Some((_, Err(error))) if lacks_handles(&error) && attempts.0.is_empty() => return Err(error),
            Some((address, Err(error))) if lacks_handles(&error) => {
                // That says nothing of the address. It waits for a handle, as it would for a place.
                rest.push_front(address);
                (None, None)
            }
            Some((_, Err(error))) => (Some(error), None),
            None if attempts.0.len() < ATTEMPTS_AT_ONCE_MAX => (None, spare()),
            None => (None, None),
        };
        let error = error.or_else(|| if place.is_none() { attempts.give_up_oldest(times) } else { None });
        is_turn = place.is_some() || error.is_some();
        spares.extend(place);
        if error.is_some() {
            failed = failed.filter(|failed| !is_local(failed)).or(error);
        }
    }
}

/// The addresses with their families in turn, each family in its own order, and the first one first (RFC 8305, section 4): a
/// machine without IPv6, or behind a router that swallows it, does not try all of a host's IPv6 addresses before one of IPv4.
fn in_turn(addresses: &[SocketAddr]) -> VecDeque<SocketAddr> {
    let is_first_family =
        |address: &SocketAddr| addresses.first().is_some_and(|first| first.is_ipv4() == address.is_ipv4());
    let (first, second): (VecDeque<_>, VecDeque<_>) = addresses.iter().copied().partition(is_first_family);
    let mut families = [first, second];
    let mut ordered = VecDeque::with_capacity(addresses.len());
    while ordered.len() < addresses.len() {
        ordered.extend(families.iter_mut().filter_map(VecDeque::pop_front));
    }
    ordered
}

/// Attempts under way, in the order in which they began.
struct Attempts<F>(VecDeque<Attempt<F>>);

struct Attempt<F> {
    address: SocketAddr,
    began: Instant,
    connecting: Pin<Box<F>>,
}

impl<F: Future> Attempts<F> {
    /// Takes out the first that ends, if one does within this time.
    async fn first_end(&mut self, within: Option<Duration>) -> Option<(SocketAddr, F::Output)> {
        let ended = select_all(self.0.iter_mut().map(|attempt| &mut attempt.connecting));
        let (output, place, _) = match within {
            Some(within) => tokio::time::timeout(within, ended).await.ok()?,
            None => ended.await,
        };
        self.0.remove(place).map(|attempt| (attempt.address, output))
    }

    /// Gives up the oldest if it has had its part of the time.
    fn give_up_oldest(&mut self, times: AttemptTimes) -> Option<io::Error> {
        let part = times.each_min(self.0.len());
        let is_over = |attempt: &Attempt<F>| clock::now().saturating_duration_since(attempt.began) >= part;
        self.0.front().filter(|oldest| is_over(oldest))?;
        drop(self.0.pop_front());
        Some(io::Error::new(io::ErrorKind::TimedOut, "connecting timed out"))
    }
}

/// As RFC 8305, section 5, recommends it.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// A host with more addresses that do not answer would hold as many handles.
pub const ATTEMPTS_AT_ONCE_MAX: usize = 3;

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use futures_util::future::{LocalBoxFuture, pending, ready};

    use super::*;

    const SOON: Duration = Duration::from_millis(1);
    const NEVER: Duration = Duration::from_secs(3600);

    #[derive(Clone, Copy)]
    enum Host {
        Answers,
        Refuses,
        IsSilent,
        AnswersAfter(Duration),
        /// Answers, if there is a handle: at the first attempt there is none.
        LacksHandleOnce,
    }
    use Host::{Answers, AnswersAfter, IsSilent, LacksHandleOnce, Refuses};

    /// Connects to hosts, the first of which has port 1, with so many spare places. The ports that were tried are in `tried`.
    async fn first(hosts: &[Host], times: AttemptTimes, spare: usize, tried: &RefCell<Vec<u16>>) -> io::Result<u16> {
        let addresses: Vec<SocketAddr> = (1..=hosts.len() as u16).map(|port| ([127, 0, 0, 1], port).into()).collect();
        let connect = |address: SocketAddr| -> LocalBoxFuture<'_, io::Result<u16>> {
            let is_first = !tried.borrow().contains(&address.port());
            tried.borrow_mut().push(address.port());
            match hosts[usize::from(address.port()) - 1] {
                LacksHandleOnce if is_first => Box::pin(ready(Err(io::Error::from_raw_os_error(24)))),
                Answers | LacksHandleOnce => Box::pin(ready(Ok(address.port()))),
                Refuses => Box::pin(ready(Err(io::ErrorKind::ConnectionRefused.into()))),
                IsSilent => Box::pin(pending()),
                AnswersAfter(time) => Box::pin(async move {
                    tokio::time::sleep(time).await;
                    Ok(address.port())
                }),
            }
        };
        let left = Cell::new(spare);
        let spare = || left.get().checked_sub(1).map(|now| left.set(now));
        connect_first(&addresses, times, connect, spare).await
    }

    #[actix_rt::test]
    async fn an_address_that_does_not_answer_keeps_nobody_from_the_next_one() {
        let tried = RefCell::default();
        let times = AttemptTimes { delay: SOON, total: NEVER, addresses: 9 };
        assert_eq!(first(&[IsSilent, IsSilent, Answers], times, 2, &tried).await.ok(), Some(3));
        assert_eq!(*tried.borrow(), [1, 2, 3]);
    }

    #[actix_rt::test]
    async fn where_one_fails_the_next_begins_at_once_and_none_after_one_that_answers() {
        let tried = RefCell::default();
        let times = AttemptTimes { delay: NEVER, total: NEVER, addresses: 4 };
        assert_eq!(first(&[Refuses, Refuses, Answers, Answers], times, 0, &tried).await.ok(), Some(3));
        assert_eq!(*tried.borrow(), [1, 2, 3]);
        let refused = first(&[Refuses, Refuses], times, 0, &tried).await.map_err(|error| error.kind());
        assert_eq!(refused, Err(io::ErrorKind::ConnectionRefused));
        assert_eq!(
            first(&[], times, 0, &tried).await.map_err(|error| error.kind()),
            Err(io::ErrorKind::AddrNotAvailable)
        );
    }

    #[actix_rt::test]
    async fn no_more_than_three_attempts_are_under_way_at_once_and_no_more_than_have_a_place() {
        let times = AttemptTimes { delay: SOON, total: NEVER, addresses: 9 };
        for (spare, most) in [(9, 3), (1, 2), (0, 1)] {
            let tried = RefCell::default();
            let hosts = [IsSilent; 9];
            let mut attempts = std::pin::pin!(first(&hosts, times, spare, &tried));
            while tried.borrow().len() < most {
                assert!(tokio::time::timeout(SOON, &mut attempts).await.is_err());
            }
            assert!(tokio::time::timeout(40 * SOON, &mut attempts).await.is_err());
            assert_eq!(tried.borrow().len(), most);
        }
    }

    #[actix_rt::test]
    async fn without_a_place_beside_it_an_address_that_does_not_answer_is_left_after_its_part_of_the_time() {
        let (tried, started) = (RefCell::default(), clock::now());
        let times = AttemptTimes { delay: SOON, total: 60 * SOON, addresses: 3 };
        assert_eq!(first(&[IsSilent, IsSilent, Answers], times, 0, &tried).await.ok(), Some(3));
        assert!(clock::now() - started >= 40 * SOON);
    }

    #[actix_rt::test]
    async fn an_address_that_answers_late_is_not_left_for_silent_ones_while_several_share_the_time() {
        let times = AttemptTimes { delay: 5 * SOON, total: 400 * SOON, addresses: 4 };
        let hosts = [AnswersAfter(130 * SOON), IsSilent, IsSilent, IsSilent];
        let tried = RefCell::default();
        let first = tokio::time::timeout(Duration::from_secs(20), first(&hosts, times, 2, &tried)).await;
        assert_eq!(first.expect("an end").ok(), Some(1));
    }

    #[actix_rt::test]
    async fn an_address_for_which_there_was_no_handle_beside_another_is_tried_again() {
        let times = AttemptTimes { delay: SOON, total: 60 * SOON, addresses: 3 };
        for spare in [1, 9] {
            let tried = RefCell::default();
            let hosts = [IsSilent, LacksHandleOnce, Refuses];
            assert_eq!(first(&hosts, times, spare, &tried).await.ok(), Some(2));
            assert_eq!(*tried.borrow(), [1, 2, 2]);
        }
        let alone = first(&[LacksHandleOnce, Answers], times, 9, &RefCell::default()).await;
        assert!(alone.is_err_and(|error| lacks_handles(&error)), "others of ours can be closed for it");
    }

    #[test]
    fn families_take_turns_from_the_first_address_on_and_each_keeps_its_order() {
        let ordered = |hosts: &[&str]| {
            let addresses: Vec<SocketAddr> = hosts.iter().map(|host| format!("{host}:1").parse().unwrap()).collect();
            in_turn(&addresses).into_iter().map(|address| address.ip().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(ordered(&["[::1]", "[::2]", "[::3]", "10.0.0.1"]), ["::1", "10.0.0.1", "::2", "::3"]);
        let mixed = ["10.0.0.2", "10.0.0.1", "[::2]", "[::1]", "10.0.0.3"];
        assert_eq!(ordered(&mixed), ["10.0.0.2", "::2", "10.0.0.1", "::1", "10.0.0.3"]);
        assert_eq!(ordered(&["[::2]", "[::1]"]), ["::2", "::1"]);
        assert!(ordered(&[]).is_empty());
    }

    #[test]
    fn where_the_time_is_short_the_next_address_has_its_turn_within_it() {
        let delay = |ms, addresses| AttemptTimes::new(Duration::from_millis(ms), addresses).delay.as_millis();
        assert_eq!([delay(4_000, 2), delay(200, 2), delay(600, 4)], [250, 100, 150]);
    }

    #[test]
    fn each_address_has_its_part_of_the_time_and_more_where_several_share_it() {
        let seconds =
            |addresses, at_once| AttemptTimes::new(Duration::from_secs(4), addresses).each_min(at_once).as_secs_f64();
        assert_eq!([seconds(4, 1), seconds(4, 2), seconds(4, 3), seconds(2, 3)], [1.0, 2.0, 2.0, 4.0]);
    }
}
