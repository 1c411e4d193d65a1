//! ● Retirement of an actor with nothing to do: it gives its memory back.

use std::time::{Duration, Instant};

use super::EndpointActor;

impl EndpointActor {
    pub(super) fn retires_at(&mut self, now: Instant) -> Option<Instant> {
        let may_retire = self.delivery.is_idle() && !self.draining;
        let silent_until = self.delivery.silent_until(now);
        retires_at(may_retire, &mut self.idle_since, self.core.idle_after, silent_until, now)
    }
}

/// Never where it may not: there is then nothing to wait for.
fn retires_at(
    may_retire: bool,
    idle_since: &mut Option<Instant>,
    idle_after: Duration,
    silent_until: Option<Instant>,
    now: Instant,
) -> Option<Instant> {
    if !may_retire {
        *idle_since = None;
        return None;
    }
    let at = *idle_since.get_or_insert(now) + idle_after;
    Some(silent_until.map_or(at, |until| until.max(at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_actor_retires_in_time_and_while_the_process_stops_waits_for_nothing() {
        let (now, after) = (Instant::now(), Duration::from_secs(60));
        let mut idle_since = None;
        assert_eq!(retires_at(true, &mut idle_since, after, None, now), Some(now + after));
        let later = now + after + after;
        assert_eq!(retires_at(true, &mut idle_since, after, None, later), Some(now + after), "it is due");
        let silent = Some(later + after);
        assert_eq!(retires_at(true, &mut idle_since, after, silent, later), silent);
        assert_eq!(retires_at(false, &mut idle_since, after, None, later), None, "or it would be due again and again");
        assert_eq!(idle_since, None);
    }
}
