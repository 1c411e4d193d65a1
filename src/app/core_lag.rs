//! ● Lag of a core: the time for which work that is due on its arbiter waits for its turn.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use metrics::gauge;

use crate::{clock, monitoring::core_counters::Flow, telemetry::names};

const EVERY: Duration = Duration::from_millis(10);
/// Number of looks whose worst a core says of itself.
const LOOKS: u32 = 10;
/// Number of those, a second's, whose worst is shown.
const SHOWN_EVERY: u32 = 10;
/// A core that was no later than this, and sent nothing meanwhile, has nothing to do: it is looked at once instead.
const ON_TIME: Duration = Duration::from_millis(5);

/// Lag of each core within its last hundred milliseconds.
pub struct CoreLag {
    micros: Box<[AtomicU64]>,
}

impl CoreLag {
    #[must_use]
    pub fn of(cores: usize) -> Arc<Self> {
        Arc::new(CoreLag { micros: (0..cores).map(|_| AtomicU64::new(0)).collect() })
    }

    #[must_use]
    pub fn cores(&self) -> usize {
        self.micros.len()
    }

    /// The latest core's.
    #[must_use]
    pub fn worst(&self) -> Duration {
        let worst = self.micros.iter().map(|micros| micros.load(Relaxed)).max();
        Duration::from_micros(worst.unwrap_or(0))
    }

    /// Looks until the arbiter ends. To be spawned on it.
    pub async fn watch(self: Arc<Self>, core: usize, flow: Arc<Flow>) {
        let shown = gauge!(names::CORE_LAG, "core" => core.to_string());
        let (mut sent, mut looks) = (0, LOOKS);
        loop {
            let mut second = Duration::ZERO;
            for _ in 0..SHOWN_EVERY {
                let worst = worst_of(looks).await;
                let before = std::mem::replace(&mut sent, attempts(&flow));
                looks = if sent == before && worst <= ON_TIME { 1 } else { LOOKS };
                let micros = u64::try_from(worst.as_micros()).unwrap_or(u64::MAX);
                self.micros[core].store(micros, Relaxed);
                second = second.max(worst);
            }
            shown.set(second);
        }
    }
}

fn attempts(flow: &Flow) -> u64 {
    flow.delivered.load(Relaxed) + flow.failed_attempts.load(Relaxed)
}

/// The worst of this many looks within the time of [`LOOKS`].
async fn worst_of(looks: u32) -> Duration {
    let (mut worst, every) = (Duration::ZERO, EVERY * LOOKS / looks);
    for _ in 0..looks {
        let due = clock::now() + every;
        tokio::time::sleep(every).await;
        worst = worst.max(clock::now().saturating_duration_since(due));
    }
    worst
}
