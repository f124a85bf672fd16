//! The simulator's command; `cargo xtask sim` builds and starts it.

use sim::runner::{self, Options};
use std::process::ExitCode;

/// A run does little but allocate.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let options = match Options::parse(&args) {
        Ok(options) => options,
        Err(usage) => {
            eprintln!("{usage}");
            return ExitCode::from(2);
        }
    };
    if runner::start(&options) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
