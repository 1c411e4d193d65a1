//! ● Looks at everything again and again: the processes, what they say of themselves, the tables, and what arrives.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{
    fleet::{Running, Watched},
    harness::{Hook, postgres::Postgres, produced::Produced, rest::values},
    samples::{FIRST, Numbers, Sample},
    waves::Waves,
};

/// What is looked at.
pub struct Subject {
    pub started: Instant,
    pub waves: Arc<Waves>,
    pub running: Running,
    pub produced: Arc<Produced>,
    pub postgres: Arc<Postgres>,
    pub steady: Hook,
}

pub struct Sampler {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Sample>>,
}

impl Sampler {
    pub fn start(subject: Subject, every: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let (mut samples, mut seen, mut told_at) = (Vec::new(), 0, Instant::now());
            while !stopping.load(Ordering::Acquire) {
                let looked_at = Instant::now();
                let sample = subject.look(&mut seen, samples.last());
                if told_at.elapsed() >= TELL_EVERY {
                    told_at = looked_at;
                    tell(&sample);
                }
                samples.push(sample);
                thread::park_timeout(every.saturating_sub(looked_at.elapsed()));
            }
            samples
        });
        Sampler { stop, thread }
    }

    pub fn stop(self) -> Vec<Sample> {
        self.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        self.thread.join().expect("everything could be looked at")
    }
}

const TELL_EVERY: Duration = Duration::from_secs(30);

fn tell(sample: &Sample) {
    let first = sample.instances.get(&FIRST);
    let whole = |name: &str| sample.whole.get(name).copied().unwrap_or_default();
    let own = |name: &str| first.and_then(|first| first.get(name)).copied().unwrap_or_default();
    eprintln!(
        "{:6.1} min: {:5.0} of {:5.0} events/s, p99 {:6.0} ms, {} instances, the first: {:.0} MiB, {} threads, {} handles, \
         {:.1} s uncommitted; {} rows, {} letters",
        sample.at / 60.0,
        whole("arrived_per_second"),
        whole("due_per_second"),
        whole("p99_ms"),
        sample.instances.len(),
        own("rss_mib"),
        own("threads"),
        own("handles"),
        own("uncommitted_s"),
        whole("backlog_rows"),
        whole("dead_letter_rows"),
    );
}

impl Subject {
    /// `seen`: how many events of the steady endpoint were looked at before.
    fn look(&self, seen: &mut usize, before: Option<&Sample>) -> Sample {
        let at = self.started.elapsed().as_secs_f64();
        let mut whole = self.tables();
        let arrived = self.steady.order_from(*seen);
        *seen += arrived.len();
        let passed = at - before.map_or(0.0, |before| before.at);
        whole.insert("due_per_second".to_owned(), self.waves.rate(at));
        whole.insert("arrived_per_second".to_owned(), arrived.len() as f64 / passed.max(0.001));
        let mut ms = Vec::with_capacity(arrived.len());
        self.produced.each_of(&arrived, |sent, at| {
            ms.push(at.saturating_duration_since(sent.at).as_secs_f64() * 1e3);
        });
        ms.sort_unstable_by(f64::total_cmp);
        for (name, part) in [("p50_ms", 50), ("p99_ms", 99)] {
            whole.extend(ms.get(ms.len() * part / 100).map(|ms| (name.to_owned(), *ms)));
        }
        let running = self.running.lock().unwrap().clone();
        let instances = running.iter().map(|watched| (watched.number, instance(watched))).collect();
        Sample { at, whole, instances }
    }

    /// Sizes of all tables, with their partitions and indexes, and rows of those that matter.
    fn tables(&self) -> Numbers {
        let sizes = "SELECT 'table_mib ' || coalesce(parent.relname, c.relname),
                        sum(pg_total_relation_size(c.oid))::float8 / 1048576
                     FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
                     LEFT JOIN pg_class parent ON parent.oid = i.inhparent
                     WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace GROUP BY 1
                     UNION ALL SELECT 'backlog_rows', count(*)::float8 FROM backlog
                     UNION ALL SELECT 'dead_letter_rows', count(*)::float8 FROM dead_letter";
        let rows = self.postgres.with(async |client| client.query(sizes, &[]).await.expect("sizes"));
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }
}

/// The process as the kernel sees it, and what it says of itself.
fn instance(watched: &Watched) -> Numbers {
    let mut numbers = Numbers::new();
    let mut enter = |name: &str, number: Option<f64>| numbers.extend(number.map(|number| (name.to_owned(), number)));
    let process = format!("/proc/{}", watched.pid);
    let status = fs::read_to_string(format!("{process}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_ascii_whitespace().next()?.parse::<f64>().ok()
    };
    enter("rss_mib", field("VmRSS:").map(|kib| kib / 1024.0));
    enter("threads", field("Threads:"));
    enter("handles", fs::read_dir(format!("{process}/fd")).ok().map(|handles| handles.count() as f64));
    if let Some(page) = watched.internal.try_get("/metrics").filter(|reply| reply.status == 200) {
        for (name, metric) in SUMS {
            enter(name, Some(values(&page.text, metric, "").sum()));
        }
        enter("uncommitted_s", values(&page.text, "postrider_uncommitted_age_seconds", "").reduce(f64::max));
    }
    numbers
}

const SUMS: [(&str, &str); 7] = [
    ("lag", "postrider_kafka_lag"),
    ("outstanding", "postrider_outstanding_events"),
    ("own_backlog_rows", "postrider_backlog_events"),
    ("connections", "postrider_endpoint_connections"),
    ("unaccounted", "postrider_unaccounted_events"),
    ("stray", "postrider_stray_deliveries"),
    ("abandoned", "postrider_receipts_abandoned_total"),
];
