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

/// From now on a panic anywhere ends the process, whatever thread it is in: an invariant is broken,
/// and going on would spread it.
pub fn on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
}
