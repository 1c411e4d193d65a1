//! ● The scenarios one after the other, and their table.

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use crate::{
    addresses, backlog_drain, catch_up, catch_up_slow, drain, fleet, http2, idle,
    kafka::Topics,
    options::{Name, Options},
    paced::{self, Pace},
    parking,
    plan::Plan,
    postrider, producer,
    role::Role,
    sender::{Stage, Who},
    settings, skew, slow_tenth, spike, subscriptions,
    table::{Table, percent, thousands},
    tls, topics, wan,
};

pub fn run(options: &Options) -> io::Result<ExitCode> {
    let brokers = std::env::var("KAFKA_BOOTSTRAP")
        .map_err(|_| io::Error::other("KAFKA_BOOTSTRAP is not set; use `make bench`"))?;
    let mut bench = Bench { options, topics: Topics::new(&brokers)?, lost: 0 };
    let mut tables = vec![bench.drains()?, bench.parking()?, bench.latency()?, bench.isolation()?, bench.settings()?];
    for run in SCENARIOS {
        tables.extend(run(&mut bench)?);
    }
    println!("\nPostrider, end to end: 512-byte events, {} core(s)", options.cores());
    for table in tables.iter().filter(|table| !table.is_empty()) {
        println!("\n{}", table.text());
    }
    if bench.lost > 0 {
        println!("LOST: {} events were produced and never received", bench.lost);
        return Ok(ExitCode::FAILURE);
    }
    postrider::remove_logs();
    println!("Every event produced was received.");
    Ok(ExitCode::SUCCESS)
}

/// One that is a file of its own; no table when nobody wants it.
type Scenario = fn(&mut Bench<'_>) -> io::Result<Option<Table>>;

const SCENARIOS: [Scenario; 13] = [
    catch_up::run,
    catch_up_slow::run,
    spike::run,
    slow_tenth::run,
    backlog_drain::run,
    topics::run,
    idle::run,
    tls::run,
    http2::run,
    subscriptions::run,
    skew::run,
    wan::run,
    fleet::run,
];

pub struct Bench<'a> {
    pub options: &'a Options,
    pub topics: Topics,
    pub lost: u64,
}

/// A drain's two medians.
struct Pair {
    postrider: drain::Measured,
    bare: drain::Measured,
}

impl Bench<'_> {
    fn drains(&mut self) -> io::Result<Table> {
        let mut table = Table::new(
            "Draining a topic (CPU: events per CPU-second of the process)",
            &["", "events/s", "CPU", "RSS MB", "bare: events/s", "CPU", "RSS MB", "CPU ratio", "bar"],
        );
        let events = self.options.events_or(200_000);
        let wanted = [Name::Stream, Name::Many, Name::Raw, Name::Partition].iter().any(|n| self.options.wants(*n));
        if wanted {
            let topic = self.full_topic("stream", 8, self.tenants(), events)?;
            let stream = Plan::stream(&topic, 8, self.tenants());
            let many = Plan { endpoints: self.options.endpoints, in_flight_max: 4, ..stream.clone() };
            let raw = Plan { endpoints: 4, in_flight_max: 16, raw: true, ..stream.clone() };
            let name = format!("stream to {} endpoints", thousands(many.endpoints as f64));
            self.drain(&mut table, Name::Stream, "stream to 1 endpoint", stream, events, "70 % (goal 80 %)")?;
            self.drain(&mut table, Name::Many, &name, many, events, "70 % (goal 80 %)")?;
            self.drain(&mut table, Name::Raw, "raw to 4 endpoints", raw, events, "50,000/s")?;
            if self.options.wants(Name::Partition) {
                let topic = self.full_topic("one", 1, self.tenants(), events)?;
                let plan = Plan::stream(&topic, 1, self.tenants());
                self.drain(
                    &mut table,
                    Name::Partition,
                    "stream, 1 partition",
                    plan,
                    events,
                    "events/s as with 8, ± 10 %",
                )?;
            }
        }
        if self.options.wants(Name::Batch) {
            let events = events * 4;
            let topic = self.full_topic("batch", 8, self.tenants(), events)?;
            let plan = Plan { in_flight_max: 8, batch_events: Some(1000), ..Plan::stream(&topic, 8, self.tenants()) };
            self.drain(&mut table, Name::Batch, "batches of 1,000 to 1 endpoint", plan, events, "50 % (goal 70 %)")?;
        }
        Ok(table)
    }

    /// Both take turns, so that a machine that slows down slows both.
    fn drain(
        &mut self,
        table: &mut Table,
        name: Name,
        label: &str,
        plan: Plan,
        events: u64,
        bar: &str,
    ) -> io::Result<()> {
        if !self.options.wants(name) {
            return Ok(());
        }
        let mut stage = Stage::new(plan, &mut self.topics, self.options.cores())?;
        let (mut bare, mut postrider) = (Vec::new(), Vec::new());
        for round in 1..=self.options.rounds_or(2) {
            for (who, rounds) in [(Who::Bare, &mut bare), (Who::Postrider, &mut postrider)] {
                if self.options.bare && who == Who::Postrider {
                    continue;
                }
                let measured = drain::run(&mut stage, who, events, &format!("{label}-{round}"), &mut self.topics)?;
                progress(&format!(
                    "{label}, round {round}: {who:<9} {:>8}/s, {:>8} per CPU-second, {} bytes an event, {} twice, {} lost",
                    thousands(measured.events_per_second),
                    thousands(measured.events_per_cpu_second),
                    thousands(measured.bytes_per_event),
                    measured.duplicates,
                    measured.lost,
                ));
                self.lost += measured.lost;
                rounds.push(measured);
            }
        }
        let pair = Pair { postrider: drain::Measured::median(&postrider), bare: drain::Measured::median(&bare) };
        table.row(pair.cells(label, bar));
        Ok(())
    }

    fn parking(&mut self) -> io::Result<Table> {
        let heading = ["", "parked/s", "then sent/s", "RSS MB", "twice", "bar"];
        let mut table = Table::new("Into the backlog, and out of it", &heading);
        if !self.options.wants(Name::Parking) {
            return Ok(table);
        }
        let events = self.options.events_or(200_000);
        let tenants = self.tenants().max(1_000); // one each at least
        let topic = self.full_topic("parking", 8, tenants, events)?;
        for (label, endpoints) in [("16 endpoints", 16), ("1,000 endpoints", 1_000)] {
            let plan = Plan { endpoints, paused: endpoints, in_flight_max: 16, ..Plan::stream(&topic, 8, tenants) };
            let mut stage = Stage::new(plan, &mut self.topics, self.options.cores())?;
            let measured = parking::run(&mut stage, events, &format!("parking-{endpoints}"), &mut self.topics)?;
            self.lost += measured.lost;
            let cells = [
                label.to_owned(),
                thousands(measured.parked_per_second),
                thousands(measured.sent_per_second),
                thousands(measured.rss_peak_bytes as f64 / MB),
                measured.duplicates.to_string(),
                "20,000 parked/s".to_owned(),
            ];
            progress(&cells.join("  "));
            table.row(cells);
        }
        Ok(table)
    }

    fn latency(&mut self) -> io::Result<Table> {
        let mut table = latency_table(&format!("Latency at {}/s to 1 endpoint", thousands(self.options.rate.into())));
        if self.options.wants(Name::Latency) {
            for (who, bar) in [(Who::Bare, ""), (Who::Postrider, "p50 ≤ 3 ms, p99 ≤ 15 ms")] {
                if self.options.bare && who == Who::Postrider {
                    continue;
                }
                let topic = self.topics.create(&format!("latency-{who:?}").to_lowercase(), 8)?;
                self.pace(&mut table, &who.to_string(), Plan::stream(&topic, 8, self.tenants()), who, bar)?;
            }
        }
        Ok(table)
    }

    fn isolation(&mut self) -> io::Result<Table> {
        let endpoints = self.options.endpoints;
        let mut table = latency_table(&format!(
            "Isolation at {}/s to {} endpoints",
            thousands(self.options.rate.into()),
            thousands(endpoints as f64)
        ));
        if self.options.wants(Name::Isolation) {
            let mut p99 = Vec::new();
            for (label, topic, hung_every) in
                [("all answer", "healthy", None), ("1 in 10 never answers", "hung", Some(10))]
            {
                let topic = self.topics.create(topic, 8)?;
                let plan = Plan { endpoints, in_flight_max: 4, hung_every, ..Plan::stream(&topic, 8, self.tenants()) };
                let bar = if hung_every.is_some() { "p99 ≤ 1.2 × all answer's, lag ≤ 6 s" } else { "" };
                p99.push(self.pace(&mut table, label, plan, Who::Postrider, bar)?.latency.p99);
            }
            table.row(["the healthy ones' p99, ratio".to_owned(), String::new(), format!("{:.2} ×", p99[1] / p99[0])]);
        }
        Ok(table)
    }

    fn settings(&mut self) -> io::Result<Table> {
        let mut table = Table::new("10,000 endpoints and 1,000,000 subscription entries", &["", "seconds", "bar"]);
        if !self.options.wants(Name::Settings) {
            return Ok(table);
        }
        let took = settings::run(&mut self.topics, self.options.cores())?;
        let rows = [
            ("endpoints, a PUT each (reckoned from 500)", took.put * settings::ENDPOINTS as u32, ""),
            ("endpoints, one bulk", took.endpoints, ""),
            ("subscriptions to 100 tenants each, one bulk", took.subscriptions, "both ≤ 10"),
            ("in effect after", took.in_effect, "≤ 5"),
            ("the slowest page of 250 endpoints", took.endpoints_page, "≤ 0.2"),
            ("the slowest page of 250 subscriptions", took.subscriptions_page, "≤ 0.2"),
            ("a process with all of it is ready after", took.start, "≤ 10"),
        ];
        for (label, took, bar) in rows {
            let cells = [label.to_owned(), format!("{:.2}", took.as_secs_f64()), bar.to_owned()];
            progress(&cells.join("  "));
            table.row(cells);
        }
        table.row(["its RSS, MB".to_owned(), thousands(took.rss_bytes as f64 / MB), String::new()]);
        Ok(table)
    }

    fn pace(&mut self, table: &mut Table, label: &str, plan: Plan, who: Who, bar: &str) -> io::Result<paced::Measured> {
        let pace = Pace {
            events_per_second: self.options.rate.into(),
            warm_up: Duration::from_secs(6),
            measured: self.options.seconds_or(20),
        };
        let mut stage = Stage::new(plan, &mut self.topics, self.options.cores())?;
        let measured = paced::run(&mut stage, who, pace, &mut self.topics)?;
        self.lost += measured.lost;
        let latency = measured.latency;
        let cells = [
            label.to_owned(),
            format!("{:.1}", latency.p50),
            format!("{:.1}", latency.p99),
            format!("{:.1}", latency.p999),
            percent(measured.cpu_share),
            thousands(measured.rss_peak_bytes as f64 / MB),
            measured.commit_lag.map_or("–".to_owned(), |lag| format!("{:.1} s", lag.as_secs_f64())),
            measured.duplicates.to_string(),
            bar.to_owned(),
        ];
        progress(&cells.join("  "));
        table.row(cells);
        Ok(measured)
    }

    fn tenants(&self) -> usize {
        self.options.endpoints.clamp(4, addresses::MAX)
    }

    /// A topic with so many events, which go round so many tenants.
    pub fn full_topic(&mut self, name: &str, partitions: i32, tenants: usize, events: u64) -> io::Result<String> {
        let topic = self.topics.create(name, partitions)?;
        progress(&format!("producing {} events to {partitions} partition(s)", thousands(events as f64)));
        let arguments = producer::Arguments::new(self.topics.brokers(), &topic, partitions, tenants, events);
        Role::start("producer", &arguments)?.hear()?;
        Ok(topic)
    }
}

impl Pair {
    fn cells(&self, label: &str, bar: &str) -> Vec<String> {
        let (postrider, bare) = (&self.postrider, &self.bare);
        vec![
            label.to_owned(),
            thousands(postrider.events_per_second),
            thousands(postrider.events_per_cpu_second),
            thousands(postrider.rss_peak_bytes / MB),
            thousands(bare.events_per_second),
            thousands(bare.events_per_cpu_second),
            thousands(bare.rss_peak_bytes / MB),
            percent(postrider.events_per_cpu_second / bare.events_per_cpu_second),
            bar.to_owned(),
        ]
    }
}

fn latency_table(title: &str) -> Table {
    let heading =
        ["from produce to receipt", "p50 ms", "p99 ms", "p99.9 ms", "CPU", "RSS MB", "commit lag", "twice", "bar"];
    Table::new(title, &heading)
}

pub fn progress(line: &str) {
    eprintln!("{line}");
    let _ = io::stderr().flush();
}

pub const MB: f64 = 1e6;
