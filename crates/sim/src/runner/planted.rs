//! Plants each bug and runs seeds until a checker catches it: the proof that the simulator sees.
//! A seed that fails without the bug proves nothing and is passed over.

use super::{Options, each};
use crate::run;
use base::Bug;

/// Seeds within which a bug must be caught.
fn within(bug: Bug) -> u64 {
    match bug {
        // Needs a rare meeting of faults.
        Bug::UnseededChecksum
        | Bug::CheckpointWithoutVotes
        | Bug::DamageLeftAlone
        | Bug::GroupIdsGivenAgain
        | Bug::OthersThatAreLeftKeepTheirs
        | Bug::StartBeforeCommit
        | Bug::SurvivorKeepsItsTerm
        | Bug::VoteNotPersisted => 2_000,
        _ => 500,
    }
}

/// Runs all and prints the table; true if each was caught.
pub(super) fn table(options: &Options) -> bool {
    println!("| planted bug | caught by | seeds needed | allowed |\n|---|---|---|---|");
    let mut all = true;
    for bug in Bug::ALL
        .iter()
        .filter(|bug| options.bug.is_none_or(|only| only == **bug))
    {
        let allowed = within(*bug);
        let mut runs = 0;
        let mut caught = None;
        let which = (Some(*bug), options.ruined);
        each(0..allowed, options.jobs, which, |seed| {
            runs += 1;
            if let Some(violation) = seed.run.outcome.violation
                && run::run(seed.seed, None, false).outcome.violation.is_none()
            {
                caught = Some((seed.seed, violation));
            }
            caught.is_none()
        });
        match &caught {
            Some((seed, violation)) => {
                println!(
                    "| {} | {} (seed {seed}) | {runs} | {allowed} |",
                    bug.name(),
                    violation.checker
                );
            }
            None => {
                all = false;
                println!("| {} | NOT CAUGHT | {runs} | {allowed} |", bug.name());
            }
        }
    }
    all
}
