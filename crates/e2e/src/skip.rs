//! Tests that need something of the machine. libtest shows one that returns early as passed, so who
//! wants to know names in `E2E_MAY_SKIP` what may be missing ("mount", "cc", both with a comma, or
//! nothing): then a test fails for want of anything else.

use std::process::Command;

/// The right to mount a file system.
pub const MOUNT: &str = "mount";
/// A C compiler that makes libraries.
pub const COMPILER: &str = "cc";

/// Set for a test that runs once more in a namespace of its own.
const AGAIN: &str = "E2E_IN_A_NAMESPACE";

/// A test can't be run for want of this.
///
/// # Panics
///
/// Where it may not be left out.
pub fn without(what: &str) {
    if let Ok(list) = std::env::var("E2E_MAY_SKIP") {
        assert!(may(&list, what), "not run, and may not be: no {what} here");
    }
    eprintln!("skipped: no {what} here");
}

fn may(list: &str, what: &str) -> bool {
    list.split(',').any(|name| name == what)
}

/// Runs this test once more where it may mount, in namespaces of its own; without such it isn't run.
///
/// # Panics
///
/// If it fails there.
pub fn where_mounts_are_mine(test: &str) {
    let unshare = |words: &[&str]| {
        let mut command = Command::new("unshare");
        command.arg("-Urm").args(words);
        command
    };
    let there = unshare(&["true"]).output();
    if std::env::var_os(AGAIN).is_some() || !there.is_ok_and(|done| done.status.success()) {
        return without(MOUNT);
    }
    let binary = std::env::current_exe().expect("a test is a program");
    let mut again = unshare(&[]);
    again.arg(binary).args([test, "--exact", "--nocapture"]);
    let status = again.env(AGAIN, "1").status().expect("it was there");
    assert!(status.success(), "in a namespace of its own: {status}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_may_be_missing() {
        assert!(may("mount", MOUNT) && may("cc,mount", MOUNT));
        assert!(!may("", MOUNT) && !may("cc", MOUNT) && !may("mount", COMPILER));
    }
}
