//! ● The file handles of this process: as many as it may have, shared out.

use metrics::gauge;

use super::core_threads;
use crate::{
    config::{
        Config,
        handles::{self, Handles, TooFew},
    },
    telemetry::names,
};

/// Each connection to an endpoint is a file handle, and the usual soft limit of 1,024 is too few for thousands of them.
pub(super) fn raise_limit() {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => tracing::debug!(limit, "file handles this process may have"),
        Err(error) => tracing::warn!(%error, "the limit of file handles stays as it was"),
    }
}

/// Says so where endpoints get fewer than the operator meant them to have.
///
/// # Errors
/// When there are too few to run at all.
pub(super) fn share_out(config: &Config) -> Result<Handles, TooFew> {
    // A system that does not tell knows no limit that we could keep.
    let limit = rlimit::Resource::NOFILE.get().map_or(u64::MAX, |(soft, _)| soft);
    let handles = handles::share_out(limit, core_threads::count(config), config)?;
    let wanted = config.http.in_flight_max;
    if handles.connections < wanted {
        tracing::warn!(
            limit,
            connections_max = handles.connections,
            "this process may have {limit} file handles, so at most {} requests are under way at once instead of the {wanted} \
             of http.in_flight_max; raise the limit",
            handles.connections
        );
    }
    gauge!(names::CONNECTIONS_MAX).set(handles.connections as f64);
    Ok(handles)
}
