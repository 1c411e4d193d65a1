//! ● Options of a run, from the environment.

use std::{
    env,
    hash::{BuildHasher, RandomState},
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

pub struct Options {
    pub lasting: Duration,
    pub events_per_second: f64,
    pub seed: u64,
    /// Another build than the one of these tests.
    pub binary: Option<String>,
}

/// On the average.
const EVENTS_PER_SECOND: f64 = 300.0;
const SAMPLES: u32 = 360;
const EVERY_MIN: Duration = Duration::from_secs(2);
const EVERY_MAX: Duration = Duration::from_secs(30);

impl Options {
    /// `None` where nobody says how long it lasts.
    pub fn read() -> Option<Self> {
        let minutes: f64 = variable("SOAK_MINUTES")?;
        Some(Options {
            lasting: Duration::from_secs_f64(minutes * 60.0),
            events_per_second: variable("SOAK_EVENTS_PER_SECOND").unwrap_or(EVENTS_PER_SECOND),
            seed: variable("SOAK_SEED").unwrap_or_else(|| RandomState::new().hash_one("seed") >> 32),
            binary: variable("SOAK_BINARY"),
        })
    }

    pub fn sample_every(&self) -> Duration {
        (self.lasting / SAMPLES).clamp(EVERY_MIN, EVERY_MAX)
    }

    /// The folder for what a run leaves behind.
    pub fn folder() -> PathBuf {
        Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("soak")
    }
}

fn variable<T: FromStr>(name: &str) -> Option<T> {
    let text = env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} cannot be {text}")))
}
