//! ● The binary: see [`postrider::command`].

use std::process::ExitCode;

/// Many small, short-lived allocations on several threads are what it is good at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    postrider::command::run()
}
