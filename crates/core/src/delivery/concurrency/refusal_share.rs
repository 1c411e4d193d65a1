//! ○ Answers that say that it is too much: more of them than usual lower the limit. Where a lower limit has about as many of them,
//! they have nothing to do with the load, and it goes back to what it was. What is usual is learnt where few requests are under way.

/// Answers since the limit was last lowered or put back, and what is known from before.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RefusalShare {
    answers: u32,
    refused: u32,
    /// The most that were under way lately when one that was answered began.
    under_way: u32,
    /// Answers since then to those that began with much fewer under way.
    low: u32,
    /// The most that were under way when one that was refused began.
    refused_under_way: u32,
    usual: UsualShare,
    fall: Option<Fall>,
}

/// Share of refusals that has nothing to do with the load.
#[derive(Debug, Clone, Copy, Default)]
struct UsualShare {
    mean: f64,
    answers: u32,
}

/// A fall of the limit: from which one, and at which share of refusals.
#[derive(Debug, Clone, Copy)]
struct Fall {
    limit: f64,
    share: f64,
}

/// Consequence for the limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum RefusalVerdict {
    /// Number of requests that was too much.
    TooMany(f64),
    /// Limit before it was lowered in vain.
    InVain(f64),
}

impl RefusalShare {
    /// An answer to a request that began with so many under way. Those of much fewer than there were say nothing about the load.
    pub(super) fn add(&mut self, under_way: u32, is_refused: bool, level: u32) {
        self.under_way = self.under_way.max(under_way);
        let most = self.under_way.min(level);
        let is_low = 4 * under_way < 3 * most;
        if (is_low || self.fall.is_some()) && 2 * self.refused <= self.answers {
            self.usual.learn(is_refused);
        }
        if is_low {
            self.low += 1;
            if self.low > ANSWERS_REMEMBERED.max(2 * level) {
                (self.low, self.under_way) = (0, 0);
            }
            return;
        }
        if !is_refused && self.answers >= ANSWERS_REMEMBERED.max(2 * level) {
            (self.answers, self.refused) = (self.answers / 2, self.refused / 2);
            self.fall = None;
        }
        self.answers += 1;
        if is_refused {
            self.refused += 1;
            self.refused_under_way = self.refused_under_way.max(under_way);
        }
    }

    /// To be asked after a refusal.
    pub(super) fn verdict(&mut self, limit: f64) -> Option<RefusalVerdict> {
        let share = f64::from(self.refused) / f64::from(self.answers.max(1));
        let not_lowered = self.fall.filter(|fall| share >= NOT_LOWERED * fall.share);
        if let Some(fall) = not_lowered
            && share < USUAL_MAX
        {
            if self.answers < ANSWERS_REMEMBERED {
                return None;
            }
            self.restart();
            return Some(RefusalVerdict::InVain(fall.limit));
        }
        if !self.is_too_much() {
            return None;
        }
        let level = f64::from(self.refused_under_way).min(limit);
        self.restart();
        self.fall = Some(Fall { limit: not_lowered.map_or(limit, |fall| fall.limit), share });
        Some(RefusalVerdict::TooMany(level))
    }

    /// Forgets what was counted; what is usual stays.
    pub(super) fn restart(&mut self) {
        *self = RefusalShare { usual: self.usual, ..RefusalShare::default() };
    }

    /// More than usual, by a part of the answers, and by more than chance explains.
    fn is_too_much(&self) -> bool {
        let answers = f64::from(self.answers);
        let spread = self.usual.mean.max(UNKNOWN_SHARE);
        let error = (answers * spread * (1.0 - spread)).sqrt();
        let more = f64::from(self.refused) - answers * self.usual.mean;
        self.answers >= ANSWERS_MIN && more >= (REFUSED_SHARE * answers).max(ERRORS_TOLERATED * error)
    }
}

impl UsualShare {
    fn learn(&mut self, is_refused: bool) {
        self.answers = (self.answers + 1).min(USUAL_REMEMBERED);
        self.mean += (f64::from(u8::from(is_refused)) - self.mean) / f64::from(self.answers.max(USUAL_LEARNT));
        self.mean = self.mean.min(USUAL_MAX);
    }
}

/// Share of the answers, beyond the usual one, that has to be refused.
const REFUSED_SHARE: f64 = 0.1;
/// Standard errors by which it has to be exceeded, since it is asked after each refusal.
const ERRORS_TOLERATED: f64 = 4.0;
/// Least share that the standard error is reckoned with.
const UNKNOWN_SHARE: f64 = 0.05;
/// Answers that are needed for a share.
const ANSWERS_MIN: u32 = 20;
/// Older answers count half. With so many it is seen whether a lower limit makes a difference.
const ANSWERS_REMEMBERED: u32 = 40;
/// Refused because of the load, less than half of the requests become far fewer with a limit that is a third lower: below this part.
const NOT_LOWERED: f64 = 0.6;
/// Half of the answers refused is too much, whatever the reason.
const USUAL_MAX: f64 = 0.5;
/// Answers that the usual share remembers.
const USUAL_REMEMBERED: u32 = 200;
/// Answers that it remembers as long as there are fewer.
const USUAL_LEARNT: u32 = 20;
