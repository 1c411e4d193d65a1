//! ● Log lines to stderr, through a bounded queue: a reader that stalls costs lines, never a delivery.

use std::{
    io::{self, IsTerminal, Write},
    sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel},
    thread,
    time::Duration,
};

use metrics::{Counter, counter};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use super::{names, otlp::LogBridge};

/// Lines that wait for stderr at most; at 300 bytes a line, about 2 MB.
const LINES_MAX: usize = 8_192;
/// Time for the last lines when the process ends.
const FLUSH_MAX: Duration = Duration::from_secs(1);

/// `[log]` of the configuration, as far as lines go.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// Directives of `tracing`.
    pub filter: String,
    /// An object a line, for machines.
    pub is_json: bool,
}

/// Writes what waits when it is dropped: keep it until the end of `main`.
#[must_use]
pub struct Logs {
    lines: SyncSender<Line>,
}

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("log.filter does not parse: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    #[error("cannot start the log thread: {0}")]
    Thread(#[from] io::Error),
    #[error("logging is already set up: {0}")]
    Installed(Box<dyn std::error::Error + Send + Sync>),
}

/// Starts logging for the whole process: to stderr, and over the bridge where there is one.
///
/// # Errors
/// When the filter does not parse, or the thread cannot be started.
pub fn logs(options: &LogOptions, bridge: Option<LogBridge>) -> Result<Logs, LogError> {
    let filter = EnvFilter::try_new(&options.filter)?;
    let lines = start_writer(io::stderr())?;
    let writer = LineWriter { lines: lines.clone(), dropped: counter!(names::LOG_LINES_DROPPED) };
    let lines_of = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .log_internal_errors(false)
        .with_ansi(!options.is_json && io::stderr().is_terminal());
    let subscriber = tracing_subscriber::registry().with(filter).with(bridge);
    match options.is_json {
        false => subscriber.with(lines_of).try_init(),
        true => {
            let lines_of = lines_of.json().flatten_event(true).with_current_span(false).with_span_list(false);
            subscriber.with(lines_of).try_init()
        }
    }
    .map_err(|error| LogError::Installed(error.into()))?;
    Ok(Logs { lines })
}

impl Drop for Logs {
    fn drop(&mut self) {
        let (done, written) = channel();
        if self.lines.try_send(Line::Flush(done)).is_ok() {
            let _ = written.recv_timeout(FLUSH_MAX);
        }
    }
}

enum Line {
    Text(Vec<u8>),
    Flush(Sender<()>),
}

fn start_writer(out: impl Write + Send + 'static) -> io::Result<SyncSender<Line>> {
    let (lines, receiver) = sync_channel(LINES_MAX);
    thread::Builder::new().name("log".to_owned()).spawn(move || write_lines(&receiver, out))?;
    Ok(lines)
}

/// Writes lines to the output; write errors (a full disk, a closed pipe) are ignored.
fn write_lines(lines: &Receiver<Line>, mut out: impl Write) {
    for line in lines {
        match line {
            Line::Text(text) => {
                let _ = out.write_all(&text);
            }
            Line::Flush(done) => {
                let _ = out.flush();
                let _ = done.send(());
            }
        }
    }
}

/// Takes one formatted line at a time (the subscriber writes each with one call).
#[derive(Clone)]
struct LineWriter {
    lines: SyncSender<Line>,
    dropped: Counter,
}

impl Write for LineWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Err(TrySendError::Full(_)) = self.lines.try_send(Line::Text(line.to_vec())) {
            self.dropped.increment(1);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LineWriter {
    type Writer = LineWriter;

    fn make_writer(&'a self) -> LineWriter {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets a line through for every permit it is given.
    struct Stalled {
        permits: Receiver<()>,
        written: Sender<Vec<u8>>,
    }

    impl Write for Stalled {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let _ = self.permits.recv();
            let _ = self.written.send(text.to_vec());
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stalled_stderr_costs_lines_and_holds_nobody_up() {
        let (permit, permits) = channel();
        let (written, read) = channel();
        let lines = start_writer(Stalled { permits, written }).unwrap();
        let mut writer = LineWriter { lines, dropped: Counter::noop() };
        // Were the queue unbounded or a write to wait for the reader, this would not end.
        for line in 0..LINES_MAX + 100 {
            writer.write_all(format!("line {line}\n").as_bytes()).unwrap();
        }
        drop(permit);
        assert_eq!(read.recv().unwrap(), b"line 0\n");
        drop(writer);
        let rest = read.iter().count();
        assert!((LINES_MAX - 1..=LINES_MAX).contains(&rest), "{rest}");
    }
}
