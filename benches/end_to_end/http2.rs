//! ● HTTP/2 beside HTTP/1.1: the same topic to one endpoint by TLS, over connections of one request each and over those that
//! requests share; where it answers at once, and where it is a little away.

use std::{io, time::Duration};

use crate::{
    drain,
    options::Name,
    paced::{self, Pace},
    plan::{Far, Plan},
    receiver::Latency,
    scenarios::{Bench, MB, progress},
    sender::{Stage, Who},
    table::{Table, percent, thousands},
};

/// Requests at once, to an endpoint that answers after so long.
struct Case {
    after: Duration,
    in_flight_max: usize,
}

struct Side {
    label: &'static str,
    plan: Plan,
    stage: Stage,
    rounds: Vec<drain::Measured>,
}

pub fn run(bench: &mut Bench<'_>) -> io::Result<Option<Table>> {
    if !bench.options.wants(Name::Http2) {
        return Ok(None);
    }
    let heading = ["", "events/s", "CPU", "CPU, of HTTP/1.1's", "p50 ms", "p99 ms", "connections", "RSS MB", "bar"];
    let title =
        "HTTP/2 beside HTTP/1.1, one https endpoint (CPU: events per CPU-second of the process; p50, p99: at a rate)";
    let mut table = Table::new(title, &heading);
    let events = bench.options.events_or(200_000);
    let topic = bench.full_topic("http2", PARTITIONS, TENANTS, events)?;
    for case in &CASES {
        let plan = case.plan(&topic);
        let mut sides =
            [Side::new("HTTP/1.1", plan.clone(), bench)?, Side::new("HTTP/2", Plan { http2: true, ..plan }, bench)?];
        for round in 1..=bench.options.rounds_or(2) {
            for side in &mut sides {
                side.drain(case, case.events(events), round, bench)?;
            }
        }
        let of_http1 = drain::Measured::median(&sides[0].rounds).events_per_cpu_second;
        for side in sides {
            let latency = side.pace(case, bench)?;
            table.row(side.cells(case, of_http1, latency));
        }
    }
    bench.topics.delete(&topic);
    Ok(Some(table))
}

impl Case {
    fn plan(&self, topic: &str) -> Plan {
        let far = (!self.after.is_zero()).then_some(Far { least: self.after, most: self.after });
        Plan { https: true, far, in_flight_max: self.in_flight_max, ..Plan::stream(topic, PARTITIONS, TENANTS) }
    }

    /// As many a second as the endpoint can answer.
    fn per_second_max(&self) -> f64 {
        self.in_flight_max as f64 / self.after.as_secs_f64()
    }

    /// So many as are drained in a while.
    fn events(&self, events: u64) -> u64 {
        events.min((self.per_second_max() * DRAINED.as_secs_f64()) as u64)
    }

    fn label(&self, side: &Side) -> String {
        format!("{}, {} at once, after {} ms", side.label, self.in_flight_max, self.after.as_millis())
    }
}

impl Side {
    fn new(label: &'static str, plan: Plan, bench: &mut Bench<'_>) -> io::Result<Self> {
        let stage = Stage::new(plan.clone(), &mut bench.topics, bench.options.cores())?;
        Ok(Side { label, plan, stage, rounds: Vec::new() })
    }

    fn drain(&mut self, case: &Case, events: u64, round: usize, bench: &mut Bench<'_>) -> io::Result<()> {
        let label = case.label(self);
        let group = format!("{label}-{round}");
        let measured = drain::run(&mut self.stage, Who::Postrider, events, &group, &mut bench.topics)?;
        progress(&format!(
            "{label}, round {round}: {}/s, {} per CPU-second, {} connections, {} lost",
            thousands(measured.events_per_second),
            thousands(measured.events_per_cpu_second),
            measured.connections,
            measured.lost,
        ));
        bench.lost += measured.lost;
        self.rounds.push(measured);
        Ok(())
    }

    /// At half of what the endpoint can answer, or at the rate asked for.
    fn pace(&self, case: &Case, bench: &mut Bench<'_>) -> io::Result<Latency> {
        let name = format!("http2-{}-{}-{}", self.plan.http2, case.in_flight_max, case.after.as_millis());
        let topic = bench.topics.create(&name, PARTITIONS)?;
        let pace = Pace {
            events_per_second: f64::from(bench.options.rate).min(case.per_second_max() / 2.0),
            warm_up: Duration::from_secs(6),
            measured: bench.options.seconds_or(20),
        };
        let plan = Plan { topic: topic.clone(), ..self.plan.clone() };
        let mut stage = Stage::new(plan, &mut bench.topics, bench.options.cores())?;
        let measured = paced::run(&mut stage, Who::Postrider, pace, &mut bench.topics)?;
        bench.lost += measured.lost;
        drop(stage);
        bench.topics.delete(&topic);
        Ok(measured.latency)
    }

    fn cells(&self, case: &Case, of_http1: f64, latency: Latency) -> Vec<String> {
        let measured = drain::Measured::median(&self.rounds);
        let ratio = if self.plan.http2 { percent(measured.events_per_cpu_second / of_http1) } else { String::new() };
        let cells = vec![
            case.label(self),
            thousands(measured.events_per_second),
            thousands(measured.events_per_cpu_second),
            ratio,
            format!("{:.1}", latency.p50),
            format!("{:.1}", latency.p99),
            measured.connections.to_string(),
            thousands(measured.rss_peak_bytes / MB),
            if self.plan.http2 { "≥ 100 %".to_owned() } else { String::new() },
        ];
        progress(&cells.join("  "));
        cells
    }
}

const NEAR: Duration = Duration::ZERO;
const AWAY: Duration = Duration::from_millis(20);
const CASES: [Case; 4] = [
    Case { after: NEAR, in_flight_max: 8 },
    Case { after: NEAR, in_flight_max: 64 },
    Case { after: AWAY, in_flight_max: 8 },
    Case { after: AWAY, in_flight_max: 64 },
];
/// The longest that a drain takes where the endpoint is away.
const DRAINED: Duration = Duration::from_secs(20);
const PARTITIONS: i32 = 8;
const TENANTS: usize = 1_000;
