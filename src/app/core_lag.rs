//! ● Lag of a core: the time for which work that is due on its arbiter waits for its turn.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use metrics::gauge;

use crate::{clock, telemetry::names};

const EVERY: Duration = Duration::from_millis(10);
/// The worst of so many looks is what a core says of itself …
const LOOKS: u32 = 10;
/// … and the worst of so many of those, a second's, is shown.
const SHOWN_EVERY: u32 = 10;

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
        let worst = self.micros.iter().map(|micros| micros.load(Ordering::Relaxed)).max();
        Duration::from_micros(worst.unwrap_or(0))
    }

    /// Looks until the arbiter ends. To be spawned on it.
    pub async fn watch(self: Arc<Self>, core: usize) {
        let shown = gauge!(names::CORE_LAG, "core" => core.to_string());
        loop {
            let mut second = Duration::ZERO;
            for _ in 0..SHOWN_EVERY {
                let worst = worst_of_looks().await;
                let micros = u64::try_from(worst.as_micros()).unwrap_or(u64::MAX);
                self.micros[core].store(micros, Ordering::Relaxed);
                second = second.max(worst);
            }
            shown.set(second);
        }
    }
}

async fn worst_of_looks() -> Duration {
    let mut worst = Duration::ZERO;
    for _ in 0..LOOKS {
        let due = clock::now() + EVERY;
        tokio::time::sleep(EVERY).await;
        worst = worst.max(clock::now().saturating_duration_since(due));
    }
    worst
}
