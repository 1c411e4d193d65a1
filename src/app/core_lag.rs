//! ● How late a core is: what is due on its arbiter waits this long for its turn.

use std::time::Duration;

use metrics::gauge;

use crate::{clock, telemetry::names};

const EVERY: Duration = Duration::from_millis(250);
/// The worst of so many looks is shown: a second's.
const LOOKS: u32 = 4;

/// Looks until the arbiter ends. To be spawned on it.
pub async fn watch(core: usize) {
    let shown = gauge!(names::CORE_LAG, "core" => core.to_string());
    loop {
        let mut worst = Duration::ZERO;
        for _ in 0..LOOKS {
            let due = clock::now() + EVERY;
            tokio::time::sleep(EVERY).await;
            worst = worst.max(clock::now().saturating_duration_since(due));
        }
        shown.set(worst);
    }
}
