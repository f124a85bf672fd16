//! How the process ends.

use std::fmt::Display;
use std::io::Write;

/// Exit code of a wrong command line or configuration.
pub const EXIT_USAGE: i32 = 2;
/// Exit code of everything else that went wrong.
pub const EXIT_FAULT: i32 = 1;

/// Ends the process at once because an effect failed in a way that leaves nothing to rely on.
/// The log line is the report; a restart recovers from what is durable.
pub fn on_fault(what: &dyn Display) -> ! {
    tracing::error!("the node stops: {what}");
    let _ = std::io::stderr().flush();
    std::process::exit(EXIT_FAULT)
}
