//! ● Redrives, wired: dead letters of the partitions this instance owns go into their endpoints' queues again.

use std::sync::Arc;

use super::backlog::DrainContext;
use crate::{config::Config, dead_letter::writer::DeadLetterWriter, redrive, store::Pool};

/// Starts following what is asked for, until the process ends.
pub(super) fn start(config: &Config, pool: Pool, dead_letters: DeadLetterWriter, around: DrainContext) {
    let options = config.into();
    actix_rt::spawn(async move {
        let never = redrive::run(pool, options, dead_letters, Arc::new(around)).await;
        match never {}
    });
}
