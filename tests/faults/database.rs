//! ● PostgreSQL that is away, full or read-only. What does not need it goes on; what does is not committed before it is
//! stored.

use std::{thread, time::Duration};

use rand::rngs::SmallRng;
use serde_json::json;

use crate::{
    harness::{Audit, Endpoint, Mode, TestApp, app::Preparation, eventually_holds},
    row::Outcome,
    stage::Stage,
};

/// A stage with one endpoint more, whose events all have to be stored.
struct Storing {
    stage: Stage,
    refusing: Endpoint,
}

impl Storing {
    fn set(preparation: Preparation) -> Self {
        let stage = Stage::from(preparation.set("POSTGRES_STATEMENT_TIMEOUT_MS", 1_000));
        let hook = stage.receiver.hook("refusing");
        hook.set(Mode::Status(500));
        hook.keep_no_requests();
        // Given up at once, and never left alone.
        let settings = json!({
            "mode": "stream", "retry": {"attempts_max": 1, "schedule_ms": [50]},
            "breaker": {"consecutive_failures": 10_000, "requests_min": 100_000},
        });
        let refusing = stage.app.subscribed_endpoint(&hook, settings);
        Storing { stage, refusing }
    }

    fn audit(&self) -> Audit {
        let audit = self.stage.app.audit().expect_all(&self.stage.stream).expect_all(&self.stage.batch);
        audit.expect_all(&self.refusing).watch_commits()
    }

    /// The others get so many more events, and something more is stored.
    #[track_caller]
    fn flow(&self) {
        self.stage.flow(200);
        let before = self.stage.app.postgres.dead_letters().len();
        eventually_holds("dead letters are stored", || self.stage.app.postgres.dead_letters().len() > before);
    }
}

/// Row 26: every connection dies in the middle of its work, and for a while there is no new one.
pub fn restarted(_: &mut SmallRng) -> Outcome {
    let storing = Storing::set(TestApp::named("fault-26"));
    let audit = storing.audit();
    let app = &storing.stage.app;
    let load = app.load(300);
    for _ in 0..3 {
        storing.flow();
        app.postgres.go_away();
        app.postgres.terminate_connections();
        storing.stage.flow(300);
        thread::sleep(Duration::from_secs(1)); // as long as a restart takes
        app.postgres.come_back();
    }
    storing.flow();
    load.stop();
    Outcome::of(audit.settle()).at_most(0)
}
