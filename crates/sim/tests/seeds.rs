//! A few whole runs, as a newcomer's `cargo test` does them; ranges are for `cargo xtask sim`.

use base::Bug;
use sim::run;

#[test]
fn all_promises_are_kept_under_faults() {
    for seed in [1, 2, 3] {
        let run = run(seed, None, false);
        assert_eq!(run.outcome.violation, None, "seed {seed}");
        let tally = run.outcome.tally;
        assert!(
            tally.operations >= 300 && tally.faults >= 5 && tally.produced >= 50,
            "{tally:?}"
        );
    }
}

#[test]
fn a_seed_is_one_history_and_another_seed_another() {
    let hash = |seed| run(seed, None, false).outcome.hash;
    assert_eq!(hash(5), hash(5));
    assert_ne!(hash(5), hash(6));
    assert_eq!(
        run(5, None, true).outcome.hash,
        hash(5),
        "reading along changes nothing"
    );
}

#[test]
fn planted_bugs_are_caught() {
    for bug in [
        Bug::ForgetSequences,
        Bug::AnswersOutOfOrder,
        Bug::RetryFailedSync,
    ] {
        let caught = (0..20).any(|seed| run(seed, Some(bug), false).outcome.violation.is_some());
        assert!(caught, "{}", bug.name());
    }
}
