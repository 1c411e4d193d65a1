//! ● Threads that talk to Postgres and do nothing else: what keeps the main thread or a core busy delays no statement, and
//! a large result delays nobody on those.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

/// A runtime of its own, until it is dropped: what still runs on it then ends where it waits.
#[derive(Debug)]
pub struct StoreThreads {
    runtime: Option<Runtime>,
}

impl StoreThreads {
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(name: &'static str, threads: usize) -> io::Result<Self> {
        let runtime =
            Builder::new_multi_thread().worker_threads(threads.max(1)).thread_name(name).enable_all().build()?;
        Ok(StoreThreads { runtime: Some(runtime) })
    }

    /// The runtime of its connections.
    ///
    /// # Panics
    /// Never: the runtime is there until the drop.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.runtime.as_ref().expect("it is there until the drop").handle().clone()
    }
}

impl Drop for StoreThreads {
    fn drop(&mut self) {
        // Waiting for its threads is not allowed on a thread that runs tasks.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
