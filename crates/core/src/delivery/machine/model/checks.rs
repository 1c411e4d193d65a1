//! ○ Rules that hold after every action.

use super::*;

impl Model {
    pub(super) fn check_sends(&mut self, sends: &[AttemptId]) {
        let breaker = self.delivery.breaker_state();
        for attempt in sends {
            let batch = self.delivery.batch(*attempt).expect("an attempt has members");
            let events: Vec<_> = batch.events().cloned().collect();
            let members: Vec<i64> = events.iter().map(|event| event.offset()).collect();
            let bytes: usize = events.iter().map(|event| sent_bytes(event, self.settings.delivery.format)).sum();
            // Only what failed again and again comes again in parts.
            let whole = batch.attempt_number() < FAILURES_TOGETHER;
            assert!(!members.is_empty());
            let stored = events.iter().filter(|event| event.source.is_stored()).count();
            assert!(stored == 0 || stored == members.len(), "what is stored and what is not share no batch");
            assert!(events.iter().all(|event| event.source.is_current()), "another instance owns it");
            assert!(self.settings.state == EndpointState::Enabled && !self.gone);
            // The batch that holds a lane goes whole, or its lane would have two under way.
            let one = members.len() == 1 || self.settings.delivery.ordering.is_some();
            assert!(!self.held_back || self.trying && sends.len() == 1 && one, "the trouble is ours");
            assert_ne!(breaker, BreakerState::Open, "nothing is sent while open");
            if breaker == BreakerState::HalfOpen {
                assert!(self.probe.is_none() && one, "one probe of one event");
                self.probe = Some(*attempt);
            }
            // One that was parked at once has rows of its own.
            if !batch.is_parked() {
                self.check_rows(&events);
            }
            assert!(members.iter().all(|member| !self.unwanted.contains(member)), "it no longer matches");
            self.check_order(&events);
            self.check_lanes(&events);
            self.check_members(&members, bytes, breaker, whole);
            self.passed.push((self.now, members.len()));
            self.check_under_way(breaker);
            self.under_way.push((*attempt, members));
        }
        if !sends.is_empty() {
            self.check_rate();
        }
        if breaker != BreakerState::HalfOpen {
            self.probe = None;
        }
        assert_eq!(self.delivery.in_flight(), self.under_way.len());
    }

    /// Checks that those under way are fewer than may be: one that only asks whether the endpoint is there adds to them.
    fn check_under_way(&self, breaker: BreakerState) {
        let is_single = breaker == BreakerState::HalfOpen || self.trying;
        let in_flight_max = self.settings.delivery.in_flight_max;
        let limit = if is_single { in_flight_max } else { self.delivery.in_flight_limit(self.now) };
        assert!(self.under_way.len() < limit as usize, "{} under way of {limit}", self.under_way.len());
    }

    /// Checks that an event goes out for the first time behind all of its lane that went before.
    pub(super) fn check_order(&mut self, events: &[Arc<Event>]) {
        for event in events.iter().filter(|event| !self.sent_with.contains_key(&event.offset())) {
            let Some(lane) = self.lane_of(event) else { return };
            let last = self.lanes.insert(lane, event.offset());
            assert!(last < Some(event.offset()), "{last:?} of the lane went before {}", event.offset());
        }
    }

    /// Checks that nothing from Kafka is sent past rows of its lane.
    fn check_rows(&self, events: &[Arc<Event>]) {
        let Some(ordering) = self.settings.delivery.ordering else { return };
        for event in events.iter().filter(|event| !event.source.is_stored()) {
            let key = (ordering.by == OrderBy::Key).then(|| KeyNumber::of(event.key()));
            let ahead = event.source.backlog().ahead(&self.settings.id, key).events;
            assert_eq!(ahead, Some(0), "{} goes past rows", event.offset());
        }
    }

    /// Checks that nothing is sent beside another of its lane that is under way.
    fn check_lanes(&self, events: &[Arc<Event>]) {
        let under_way = self.under_way.iter().flat_map(|(_, members)| members).map(|member| &self.accounts[member].1);
        for other in under_way.filter(|other| other.source.is_current()) {
            let Some(lane) = self.lane_of(other) else { return };
            let beside = events.iter().find(|event| self.lane_of(event) == Some(lane));
            assert!(beside.is_none(), "{:?} is sent beside {}", beside.map(|event| event.offset()), other.offset());
        }
    }

    /// Its lane, where the endpoint is ordered.
    fn lane_of(&self, event: &Event) -> Option<(usize, i64)> {
        let by = self.settings.delivery.ordering?.by;
        let source = Arc::as_ptr(&event.source).cast::<()>() as usize;
        Some((source, if by == OrderBy::Key { event.offset() % 3 } else { 0 }))
    }

    pub(super) fn check_members(&mut self, members: &[i64], bytes: usize, breaker: BreakerState, whole: bool) {
        // A probe, and a trial while the trouble is ours.
        let alone = breaker == BreakerState::HalfOpen || self.trying;
        match self.sent_with.get(&members[0]) {
            None => {
                let (events_max, bytes_max) = match self.settings.delivery.mode {
                    Mode::Stream => (1, usize::MAX),
                    Mode::Batch { events_max, bytes_max, .. } => (events_max as usize, bytes_max),
                };
                assert!(members.len() <= events_max && (bytes <= bytes_max || members.len() == 1));
                let is_new = |member| !self.sent_with.contains_key(member);
                assert!(self.was_ordered || members.iter().all(is_new));
            }
            Some((with, same)) => {
                let first = &self.first_with[&members[0]];
                let stays = |member| first.contains(member) || self.was_ordered;
                assert!(members.iter().all(stays), "no strangers join a repeated batch");
                if *same && !alone && whole && !self.was_ordered {
                    assert_eq!(members, with, "a repeated batch keeps its members");
                }
            }
        }
        if alone {
            // A probe may be taken out of a batch, which then comes again without it.
            let with = self.sent_with.get(&members[0]).map(|(with, _)| with.clone()).unwrap_or_default();
            for member in with {
                self.sent_with.entry(member).and_modify(|(_, same)| *same = false);
            }
        }
        for member in members {
            self.sent_with.insert(*member, (members.to_vec(), true));
            self.first_with.entry(*member).or_insert_with(|| members.to_vec());
        }
    }

    pub(super) fn check_rate(&self) {
        let Some(limit) = self.settings.delivery.rate_limit else { return };
        let mut sum = 0;
        for (from, events) in self.passed.iter().rev() {
            sum += events;
            let window = (self.now - *from).as_secs_f64();
            let most = f64::from(limit.events_per_second) * window + f64::from(limit.burst_events);
            assert!(sum as f64 <= most + 1e-6, "{sum} events in {window} s");
        }
    }

    pub(super) fn check(&self) {
        let in_flight_limit = self.delivery.in_flight_limit(self.now);
        assert!((1..=self.settings.delivery.in_flight_max).contains(&in_flight_limit), "{in_flight_limit}");
        let wants = self.delivery.poll_timeout();
        assert!(wants.is_none_or(|at| at > self.now), "the machine wants to be called again at once");
        for source in self.lost.iter().chain([&self.partition, &self.backlog]) {
            assert!(source.abandoned.lock().is_empty(), "a receipt was dropped unsettled");
        }
        if self.lost.is_empty() {
            let held = self.accounts.values().filter(|(place, ..)| *place == Place::Held).count();
            let flying = self.delivery.flights.iter().map(|flight| flight.batch.held_len()).sum::<usize>();
            assert_eq!(held, self.delivery.queued_events() + self.delivery.stored_events() + flying);
            assert_eq!(held, self.delivery.held_events());
        }
    }

    /// A batch that is not full yet waits for us, for so long.
    pub(super) fn fills(&self) -> Duration {
        match self.settings.delivery.mode {
            Mode::Stream => Duration::ZERO,
            Mode::Batch { wait, .. } => wait,
        }
    }

    /// However well the endpoint answers, nothing holds up a commit for long: it waits for its first request, then for its
    /// answer; it may be refused with others, of which one is still under way.
    pub(super) fn check_held_in_time(&self) {
        for (offset, (place, event, came_in_at)) in &self.accounts {
            let waits = if self.sent_with.contains_key(offset) { 4 } else { 1 };
            let held_max = waits * (PARK_AFTER + ms(101)) + self.fills();
            let counts = event.source.is_current() && !event.source.is_stored();
            let late = *place == Place::Held && counts && (*came_in_at).max(self.kept_since) + held_max < self.now;
            assert!(self.held_back || !late, "event {offset} is held for {:?}", self.now - *came_in_at);
        }
    }

    /// With the timer kept, nothing current waits longer than it may.
    pub(super) fn check_parked_in_time(&self) {
        let slack = ms(101) + self.fills();
        if self.held_back || self.now < self.clock_base + PARK_AFTER + slack {
            return;
        }
        for (offset, (place, event, came_in_at)) in &self.accounts {
            // Before it came in it waited for us.
            let due = *came_in_at + PARK_AFTER + slack;
            // What is stored costs no commit any time.
            let counts = event.source.is_current() && !event.source.is_stored();
            let late = *place == Place::Held && counts && due < self.now;
            assert!(!late, "event {offset} waits for {:?}", self.now - event.received_at);
        }
    }
}
