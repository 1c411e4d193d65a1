//! ● Progress of long work. On a terminal a bar; elsewhere nothing, for logs want no bars.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Shows the progress through a known number of things.
pub(super) fn bar(length: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(length);
    let style = ProgressStyle::with_template("{spinner} {msg} [{bar:30}] {human_pos}/{human_len} {percent}% {elapsed}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
    bar.set_message(what);
    // A single call may take a while.
    bar.enable_steady_tick(TICK);
    bar
}

/// Shows the progress through an unknown number of things.
pub(super) fn count(what: &'static str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner();
    let style = ProgressStyle::with_template("{spinner} {msg} {human_pos} {elapsed}");
    spinner.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    spinner.set_message(what);
    spinner.enable_steady_tick(TICK);
    spinner
}

const TICK: Duration = Duration::from_millis(100);
