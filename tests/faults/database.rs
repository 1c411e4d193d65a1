//! ● PostgreSQL that is away, full or read-only. What does not need it goes on; what does is not committed before it is
//! stored.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    harness::{Audit, Endpoint, Mode, TestApp, app::Preparation, eventually_holds},
    row::Outcome,
    setup::{Setup, giving_up_at_once},
};
use rand::rngs::SmallRng;

/// A setup with one endpoint more, whose events all have to be stored.
struct Storing {
    setup: Setup,
    refusing: Endpoint,
}

impl Storing {
    fn set(preparation: Preparation) -> Self {
        let setup = Setup::from(preparation.set("POSTGRES_STATEMENT_TIMEOUT_MS", 1_000));
        let hook = setup.receiver.hook("refusing");
        hook.set(Mode::Status(500));
        hook.keep_no_requests();
        let refusing = setup.app.subscribed_endpoint(&hook, giving_up_at_once());
        Storing { setup, refusing }
    }

    fn audit(&self) -> Audit {
        let audit = self.setup.app.audit().expect_all(&self.setup.stream).expect_all(&self.setup.batch);
        audit.expect_all(&self.refusing).watch_commits()
    }

    /// The others get so many more events, and something more is stored.
    #[track_caller]
    fn flow(&self) {
        self.setup.flow(200);
        let before = self.setup.app.postgres.dead_letters().len();
        eventually_holds("dead letters are stored", || self.setup.app.postgres.dead_letters().len() > before);
    }
}

/// Row 26: every connection dies in the middle of its work, and for a while there is no new one.
pub fn restarted(_: &mut SmallRng) -> Outcome {
    let storing = Storing::set(TestApp::named("fault-26"));
    let audit = storing.audit();
    let app = &storing.setup.app;
    let load = app.load(300);
    for _ in 0..3 {
        storing.flow();
        app.postgres.go_away();
        app.postgres.terminate_connections();
        storing.setup.flow(300);
        thread::sleep(Duration::from_secs(1)); // as long as a restart takes
        app.postgres.come_back();
    }
    storing.flow();
    load.stop();
    Outcome::of(audit.settle()).at_most(0)
}

/// Row 27: some connections answer nothing any more, and break no promise of TCP's.
pub fn frozen_connections(_: &mut SmallRng) -> Outcome {
    let storing = Storing::set(TestApp::named("fault-27"));
    let audit = storing.audit();
    let app = &storing.setup.app;
    let load = app.load(300);
    for _ in 0..3 {
        storing.flow();
        app.postgres.freeze_present();
        storing.flow();
    }
    load.stop();
    let findings = audit.settle();
    let discarded = app.rest().metric("postrider_postgres_connections_discarded_total");
    assert!(discarded > 0.0, "a connection that answers nothing is not used again");
    Outcome::of(findings).at_most(0).note(format!("{discarded} connections thrown away"))
}

/// Row 28: PostgreSQL answers nothing, so memory fills up to its limit and partitions pause; then all of it is stored.
pub fn silent_for_long(_: &mut SmallRng) -> Outcome {
    const QUEUE_BYTES_MAX: u32 = 1 << 20;
    let storing = Storing::set(TestApp::named("fault-28").set("DEAD_LETTER_QUEUE_BYTES_MAX", QUEUE_BYTES_MAX));
    let audit = storing.audit();
    let app = &storing.setup.app;
    let load = app.load(1_000);
    storing.flow();
    let before = app.rest().metric("postrider_resident_bytes");
    app.postgres.freeze();
    eventually_holds("partitions pause", || app.rest().metric("postrider_partitions_paused") == 4.0);
    let sent = app.produced.count();
    eventually_holds("more comes meanwhile", || app.produced.count() > sent + 5_000);
    load.stop();
    let during = app.rest().metric("postrider_resident_bytes");
    let grown = (during - before) / 1_048_576.0;
    assert!(grown < 64.0, "it grew by {grown:.0} MiB while 1 MiB of letters may wait");
    app.postgres.come_back();
    Outcome::of(audit.settle()).at_most(0).note(format!("memory grew by {grown:.0} MiB"))
}

/// Row 29
pub fn disk_full(_: &mut SmallRng) -> Outcome {
    let storing = Storing::set(TestApp::named("fault-29"));
    let audit = storing.audit();
    let app = &storing.setup.app;
    let load = app.load(300);
    storing.flow();
    app.postgres.fill_disk(true);
    let stored = app.postgres.dead_letters().len();
    storing.setup.flow(1_000);
    assert_eq!(app.postgres.dead_letters().len(), stored, "nothing can be stored");
    assert!(app.kafka.lag() > 0, "so it is not committed");
    app.postgres.fill_disk(false);
    storing.flow();
    load.stop();
    Outcome::of(audit.settle()).at_most(0)
}

/// Row 30: the server reads only, for connections that exist as for new ones; later it writes again.
pub fn read_only(_: &mut SmallRng) -> Outcome {
    let storing = Storing::set(TestApp::named("fault-30"));
    let audit = storing.audit();
    let app = &storing.setup.app;
    let load = app.load(300);
    storing.flow();
    app.postgres.read_only(true);
    app.postgres.terminate_connections();
    storing.setup.flow(1_000);
    // From here on whoever keeps a connection keeps a server that only reads.
    app.postgres.read_only(false);
    let back_at = Instant::now();
    storing.flow();
    let took = back_at.elapsed();
    load.stop();
    Outcome::of(audit.settle()).at_most(0).note(format!("stored again after {:.1} s", took.as_secs_f64()))
}

/// Row 51
pub fn away_at_the_start(_: &mut SmallRng) -> Outcome {
    let mut setup = Setup::set("fault-51");
    let audit = setup.audit();
    setup.app.produce(200);
    setup.flow(0);
    assert!(setup.app.sigterm().status.success());
    setup.app.postgres.go_away();
    setup.app.produce(500);
    setup.app.spawn();
    let instance = setup.app.instance();
    eventually_holds("it lives", || instance.rest.try_get("/livez").is_some_and(|reply| reply.status == 200));
    thread::sleep(Duration::from_secs(3)); // time enough to do the wrong thing
    assert_eq!(setup.app.kafka.members(), 0, "without subscriptions it would commit events away");
    setup.app.postgres.come_back();
    setup.app.instance().await_ready();
    Outcome::of(audit.settle()).at_most(0)
}
