//! ● A deadline that does not run while an attempt waits for something of ours, or for its turn at the endpoint.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use futures_util::future::{Either, select};

use super::waits::Waits;
use crate::clock;

/// The time is over.
#[derive(Debug, PartialEq, Eq)]
pub struct DeadlineElapsed;

/// Runs `work` for at most `limit`, beside what it waits for us. For a turn at the endpoint it waits no longer either: it holds
/// what others could use.
///
/// # Errors
/// When it is not done by then.
pub async fn within<T>(limit: Duration, waits: &Waits, work: impl Future<Output = T>) -> Result<T, DeadlineElapsed> {
    let time = TimeUsed::begin(waits);
    let mut work = pin!(work);
    let mut left = limit;
    loop {
        let timer = pin!(tokio::time::sleep(left));
        match select(work.as_mut(), timer).await {
            Either::Left((done, _)) => return Ok(done),
            Either::Right(_) => {
                let now = clock::now();
                let used = time.so_far(waits, now).max(waits.for_stream(now).unwrap_or(Duration::ZERO));
                if used >= limit {
                    return Err(DeadlineElapsed);
                }
                left = limit - used;
            }
        }
    }
}

/// Time that a piece of work uses, beside what it waits for us.
#[derive(Debug)]
pub struct TimeUsed {
    began: Instant,
    waited_before: Duration,
}

impl TimeUsed {
    #[must_use]
    pub fn begin(waits: &Waits) -> Self {
        let began = clock::now();
        TimeUsed { began, waited_before: waits.beside_exchange(began) }
    }

    #[must_use]
    pub fn so_far(&self, waits: &Waits, now: Instant) -> Duration {
        (now - self.began).saturating_sub(waits.beside_exchange(now).saturating_sub(self.waited_before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(50);

    #[actix_rt::test]
    async fn time_that_is_waited_for_us_does_not_count() {
        let waits = Waits::default();
        let work = async {
            waits.begin(clock::now());
            tokio::time::sleep(4 * LIMIT).await;
            waits.end(clock::now());
        };
        assert_eq!(within(LIMIT, &waits, work).await, Ok(()));
    }

    #[actix_rt::test]
    async fn all_other_time_counts() {
        let (waits, started) = (Waits::default(), clock::now());
        let work = async {
            waits.begin(clock::now());
            tokio::time::sleep(2 * LIMIT).await;
            waits.end(clock::now());
            std::future::pending::<()>().await;
        };
        assert_eq!(within(LIMIT, &waits, work).await, Err(DeadlineElapsed));
        assert!(clock::now() - started >= 3 * LIMIT);
    }

    #[actix_rt::test]
    async fn a_turn_at_the_endpoint_is_waited_for_as_long_as_an_answer_and_no_longer() {
        let waits = Waits::default();
        let work = async {
            waits.begin_for_stream(clock::now());
            tokio::time::sleep(LIMIT / 2).await;
            waits.end_for_stream(clock::now());
            tokio::time::sleep(LIMIT * 3 / 4).await;
        };
        assert_eq!(within(LIMIT, &waits, work).await, Ok(()));
        let work = async {
            waits.begin_for_stream(clock::now());
            std::future::pending::<()>().await;
        };
        assert_eq!(within(LIMIT, &waits, work).await, Err(DeadlineElapsed));
    }
}
