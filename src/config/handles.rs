//! ○ Shares of the file handles that this process may have.
//!
//! Kafka, Postgres and the API come first: without them nobody is served, and nobody can look at what is wrong.
//! Connections to endpoints get what is left.

use super::Config;

/// The shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handles {
    /// Connections to endpoints, those kept for later included.
    pub connections: usize,
    /// Connections to the API.
    pub admin: usize,
    /// Connections to its internal listener, where there is one.
    pub internal: usize,
}

/// The process cannot run with so few.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this process may have {limit} file handles, and needs {needed} (more for many endpoints): raise the limit \
     (`ulimit -n`, LimitNOFILE= of systemd, --ulimit nofile= of a container)"
)]
pub struct TooFew {
    pub limit: usize,
    pub needed: usize,
}

/// `limit` is the limit of this process, `cores` how many threads deliver.
///
/// # Errors
/// When nothing worth mentioning is left for endpoints.
pub fn share_out(limit: u64, cores: usize, config: &Config) -> Result<Handles, TooFew> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let admin = config.admin.connections_max.min((limit / ADMIN_SHARE).max(ADMIN_MIN));
    let postgres = config.postgres.connections_max
        + config.postgres.api_connections_max
        + config.backlog.connections_max
        + config.backlog.queries_max
        + POSTGRES_OTHERS;
    let internal = match config.admin.internal_bind {
        Some(_) => INTERNAL_MAX.min((limit / INTERNAL_SHARE).max(ADMIN_MIN)),
        None => 0,
    };
    let reserved = OWN + cores * OF_CORE + KAFKA + postgres + admin + internal + (limit / OTHERS_SHARE).min(OTHERS_MAX);
    let left = limit.saturating_sub(reserved);
    if left < CONNECTIONS_MIN {
        return Err(TooFew { limit, needed: reserved + CONNECTIONS_MIN });
    }
    Ok(Handles { connections: left.min(limit / 4 * 3), admin, internal })
}

/// The process itself: its streams, the threads around the cores, files that are open for a moment.
const OWN: usize = 24;
/// A core's event loop.
const OF_CORE: usize = 4;
/// A few clients, each with a broker or two.
const KAFKA: usize = 40;
/// Beside the pools.
const POSTGRES_OTHERS: usize = 2;
/// The API gets at most this part of all.
const ADMIN_SHARE: usize = 8;
/// The API gets at least this many.
const ADMIN_MIN: usize = 8;
/// The internal listener gets at most this part of all.
const INTERNAL_SHARE: usize = 32;
/// The internal listener gets at most this many: probes, scrapes and other instances are short.
const INTERNAL_MAX: usize = 256;
/// Part of all for what is not counted here (many brokers, names being looked up).
const OTHERS_SHARE: usize = 16;
/// The most for what is not counted here.
const OTHERS_MAX: usize = 4_096;
/// With fewer connections than that nobody is served well.
const CONNECTIONS_MIN: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let nothing = |_: &str| Err(std::io::ErrorKind::NotFound.into());
        Config::parse(crate::config::DEFAULT, None, [], nothing).expect("the defaults are valid")
    }

    #[test]
    fn endpoints_get_what_kafka_postgres_and_the_api_leave() {
        let config = config();
        let usual = share_out(1_024, 2, &config).expect("enough");
        assert_eq!(usual.admin, 128);
        assert!((700..=768).contains(&usual.connections), "{usual:?}");
        let many = share_out(1_048_576, 8, &config).expect("enough");
        assert_eq!(many, Handles { connections: 786_432, admin: config.admin.connections_max, internal: 0 });
        assert!(share_out(u64::MAX, 8, &config).is_ok());
    }

    #[test]
    fn all_shares_together_are_never_more_than_there_are() {
        let config = config();
        for limit in 0..5_000 {
            if let Ok(handles) = share_out(limit, 4, &config) {
                let postgres = config.postgres.connections_max + config.backlog.connections_max;
                let all = handles.connections + handles.admin + postgres + KAFKA;
                assert!(all as u64 <= limit, "{handles:?} of {limit}");
                assert!(handles.connections >= CONNECTIONS_MIN);
            }
        }
    }

    #[test]
    fn too_few_are_refused_with_how_many_it_takes() {
        let config = config();
        let refused = share_out(64, 2, &config).expect_err("too few");
        assert!(refused.to_string().contains("may have 64 file handles"), "{refused}");
        let needed = u64::try_from(refused.needed).expect("a number");
        assert!(share_out(needed + needed / 8, 2, &config).is_ok(), "so many are enough");
    }
}
