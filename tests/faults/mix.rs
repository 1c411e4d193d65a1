//! ● Several faults at once, thrown by entropy.

use std::{thread, time::Duration};

use rand::{Rng as _, rngs::SmallRng, seq::SliceRandom as _};

use crate::{
    harness::{Instance, Misbehavior, Mode, TestApp, link::Link},
    row::Outcome,
    setup::{LANES, Setup},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Kill,
    Freeze,
    BrokerGone,
    BrokerSilent,
    BrokerResets,
    PostgresGone,
    PostgresSilent,
    PostgresFull,
    ConnectionsEnd,
    StreamFails,
    StreamResets,
    BatchHangs,
    MemberJoins,
    MemberDies,
}

const ALL: [Fault; 14] = [
    Fault::Kill,
    Fault::Freeze,
    Fault::BrokerGone,
    Fault::BrokerSilent,
    Fault::BrokerResets,
    Fault::PostgresGone,
    Fault::PostgresSilent,
    Fault::PostgresFull,
    Fault::ConnectionsEnd,
    Fault::StreamFails,
    Fault::StreamResets,
    Fault::BatchHangs,
    Fault::MemberJoins,
    Fault::MemberDies,
];

struct Mix {
    setup: Setup,
    link: Link,
    others: Vec<Instance>,
}

/// Row mix: three times three to five faults, which begin and end when they like.
pub fn of_faults(entropy: &mut SmallRng) -> Outcome {
    const ROUNDS: u32 = 3;
    let link = Link::to_kafka();
    let app = TestApp::named("fault-mix").lanes(LANES).set("KAFKA_BROKERS", link.address());
    let app = app.set("KAFKA_SESSION_TIMEOUT_MS", 3_000).set("KAFKA_HEARTBEAT_INTERVAL_MS", 1_000);
    let app = app.set("DELIVERY_PARK_AFTER_MS", 2_000).set("POSTGRES_STATEMENT_TIMEOUT_MS", 1_000);
    let mut mix = Mix { setup: Setup::from(app), link, others: Vec::new() };
    let audit = mix.setup.audit();
    let load = mix.setup.app.load(300);
    let mut note = Vec::new();
    for _ in 0..ROUNDS {
        mix.setup.flow(100);
        let mut faults = ALL;
        faults.shuffle(entropy);
        let mut faults = faults[..entropy.random_range(3..=5)].to_vec();
        if faults.contains(&Fault::Kill) {
            faults.retain(|fault| *fault != Fault::Freeze); // the dead do not thaw
        }
        eprintln!("row mix begins {faults:?}");
        note.push(format!("{faults:?}"));
        for fault in &faults {
            mix.begin(*fault);
            thread::sleep(Duration::from_millis(entropy.random_range(0..2_000))); // any moment
        }
        for fault in &faults {
            thread::sleep(Duration::from_millis(entropy.random_range(0..2_000))); // any moment
            mix.end(*fault);
        }
        mix.setup.app.instance().await_ready();
    }
    load.stop();
    let findings = audit.settle();
    drop(mix);
    Outcome::of(findings).note(note.join(" "))
}

impl Mix {
    fn begin(&mut self, fault: Fault) {
        let Setup { app, stream, batch, .. } = &mut self.setup;
        match fault {
            Fault::Kill => app.kill9(),
            Fault::Freeze => app.instance().freeze(),
            Fault::BrokerGone => self.link.go_away(),
            Fault::BrokerSilent => self.link.freeze(),
            Fault::BrokerResets => self.link.reset(),
            Fault::PostgresGone => app.postgres.go_away(),
            Fault::PostgresSilent => app.postgres.freeze(),
            Fault::PostgresFull => app.postgres.fill_disk(true),
            Fault::ConnectionsEnd => app.postgres.terminate_connections(),
            Fault::StreamFails => stream.hook.set(Mode::Status(500)),
            Fault::StreamResets => stream.hook.set(Mode::Misbehavior(Misbehavior::ResetAfter)),
            Fault::BatchHangs => batch.hook.set(Mode::Hang),
            Fault::MemberJoins | Fault::MemberDies => self.others.push(app.another_instance()),
        }
    }

    fn end(&mut self, fault: Fault) {
        let Setup { app, stream, batch, .. } = &mut self.setup;
        match fault {
            Fault::Kill => app.spawn(),
            Fault::Freeze => app.instance().thaw(),
            Fault::BrokerGone | Fault::BrokerSilent => self.link.come_back(),
            Fault::BrokerResets => self.link.reset(),
            Fault::PostgresGone | Fault::PostgresSilent => app.postgres.come_back(),
            Fault::PostgresFull => app.postgres.fill_disk(false),
            Fault::ConnectionsEnd => app.postgres.terminate_connections(),
            Fault::StreamFails | Fault::StreamResets => stream.hook.set(Mode::Ok),
            Fault::BatchHangs => batch.hook.set(Mode::Ok),
            Fault::MemberJoins => drop(self.others.pop().map(|mut other| other.sigterm())),
            Fault::MemberDies => drop(self.others.pop()),
        }
    }
}
