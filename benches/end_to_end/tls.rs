//! ● HTTPS beside HTTP: a topic drained to one endpoint over connections that are kept. The bare loop shows what TLS itself
//! costs a client.

use std::io;

use crate::{
    drain,
    options::Name,
    plan::Plan,
    scenarios::{Bench, MB, progress},
    sender::{Stage, Who},
    table::{Table, percent, thousands},
};

pub fn run(bench: &mut Bench<'_>) -> io::Result<Option<Table>> {
    if !bench.options.wants(Name::Tls) {
        return Ok(None);
    }
    let events = bench.options.events_or(200_000);
    let topic = bench.full_topic("tls", PARTITIONS, TENANTS, events)?;
    let plan = Plan::stream(&topic, PARTITIONS, TENANTS);
    let mut sides = [Side::new("HTTP", plan.clone(), bench)?, Side::new("HTTPS", Plan { https: true, ..plan }, bench)?];
    for round in 1..=bench.options.rounds_or(2) {
        for who in bench.options.both() {
            for side in &mut sides {
                side.drain(who, events, round, bench)?;
            }
        }
    }
    let heading = ["", "events/s", "CPU", "RSS MB", "twice", "CPU, of HTTP's", "bar"];
    let mut table = Table::new("HTTPS beside HTTP, one endpoint (CPU: events per CPU-second of the process)", &heading);
    for (who, bar) in [(Who::Bare, ""), (Who::Postrider, "≥ 85 %")] {
        let [plain, tls] = sides.each_ref().map(|side| side.median(who));
        if plain.events_per_cpu_second > 0.0 {
            table.row(cells(&format!("{who}, HTTP"), &plain).into_iter().chain([String::new(), String::new()]));
            let ratio = percent(tls.events_per_cpu_second / plain.events_per_cpu_second);
            table.row(cells(&format!("{who}, HTTPS"), &tls).into_iter().chain([ratio, bar.to_owned()]));
        }
    }
    drop(sides);
    bench.topics.delete(&topic);
    Ok(Some(table))
}

struct Side {
    label: &'static str,
    stage: Stage,
    rounds: Vec<(Who, drain::Measured)>,
}

impl Side {
    fn new(label: &'static str, plan: Plan, bench: &mut Bench<'_>) -> io::Result<Self> {
        let stage = Stage::new(plan, &mut bench.topics, bench.options.cores())?;
        Ok(Side { label, stage, rounds: Vec::new() })
    }

    fn drain(&mut self, who: Who, events: u64, round: usize, bench: &mut Bench<'_>) -> io::Result<()> {
        let label = format!("{}-{round}", self.label);
        let measured = drain::run(&mut self.stage, who, events, &label, &mut bench.topics)?;
        progress(&format!(
            "{}, round {round}: {who:<9} {}/s, {} per CPU-second, {} lost",
            self.label,
            thousands(measured.events_per_second),
            thousands(measured.events_per_cpu_second),
            measured.lost,
        ));
        bench.lost += measured.lost;
        self.rounds.push((who, measured));
        Ok(())
    }

    fn median(&self, who: Who) -> drain::Measured {
        let rounds: Vec<drain::Measured> = self.rounds.iter().filter(|(of, _)| *of == who).map(|(_, m)| *m).collect();
        drain::Measured::median(&rounds)
    }
}

fn cells(label: &str, measured: &drain::Measured) -> Vec<String> {
    vec![
        label.to_owned(),
        thousands(measured.events_per_second),
        thousands(measured.events_per_cpu_second),
        thousands(measured.rss_peak_bytes / MB),
        measured.duplicates.to_string(),
    ]
}

const PARTITIONS: i32 = 8;
const TENANTS: usize = 1_000;
