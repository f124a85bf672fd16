//! Plants each bug and runs seeds until a checker catches it: the proof that the simulator sees.
//! A seed that fails without the bug, or for another reason than the bug has, proves nothing and is passed
//! over.

use super::breaks::is_expected;
use super::progress::Limit;
use super::{Options, each};
use crate::run;
use base::Bug;

/// Seeds within which a bug must be caught.
fn within(bug: Bug) -> u64 {
    match bug {
        // Needs a rare meeting of faults.
        Bug::UnseededChecksum
        | Bug::CheckpointWithoutVotes
        | Bug::ConfigurationForgottenAtRestart
        | Bug::DamageLeftAlone
        | Bug::GroupIdsGivenAgain
        | Bug::ImportCutShort
        | Bug::OthersThatAreLeftKeepTheirs
        | Bug::SessionForgotten
        | Bug::StartBeforeCommit
        | Bug::SurvivorKeepsItsTerm
        | Bug::TombstoneTooEarly
        | Bug::VoteNotPersisted => 2_000,
        _ => 500,
    }
}

/// In a run with a bound on its time only bugs that are allowed so many seeds are planted: the
/// others may take all of it.
const ALLOWED_IN_A_HURRY: u64 = 500;

/// Runs all, or as many as there is time for, and prints the table; true if each was caught.
pub(super) fn table(options: &Options) -> bool {
    println!("| planted bug | caught by | seeds needed | allowed |\n|---|---|---|---|");
    let limit = Limit::begin(options);
    let (mut tried, mut missed) = (0, 0);
    for bug in which(options) {
        // The first one is always looked at to its end, so that a run says something.
        let in_time = || tried == 0 || !limit.is_over();
        if !in_time() {
            break;
        }
        match look(bug, options, in_time) {
            Some(true) => {}
            Some(false) => missed += 1,
            None => break,
        }
        tried += 1;
    }
    let all = Bug::ALL.len();
    println!("{tried} of {all} bugs were planted, {missed} were not caught");
    missed == 0
}

/// Which bugs are planted, in which order.
fn which(options: &Options) -> Vec<Bug> {
    let from = (options.from % Bug::ALL.len() as u64) as usize;
    let around = Bug::ALL[from..].iter().chain(&Bug::ALL[..from]).copied();
    let quick = |bug: &Bug| options.minutes.is_none() || within(*bug) <= ALLOWED_IN_A_HURRY;
    let wanted = |bug: &Bug| options.bug.map_or(quick(bug), |only| only == *bug);
    around.filter(wanted).collect()
}

/// Plants one until it is caught. None if the time was up before that was decided.
fn look(bug: Bug, options: &Options, in_time: impl Fn() -> bool) -> Option<bool> {
    let allowed = within(bug);
    let mut runs = 0;
    let mut caught = None;
    let which = (Some(bug), options.ruined);
    each(0..allowed, options.jobs, which, |seed| {
        runs += 1;
        if let Some(violation) = seed.run.outcome.violation
            && is_expected(bug, violation.checker)
            && run::run(seed.seed, None, false).outcome.violation.is_none()
        {
            caught = Some((seed.seed, violation));
        }
        caught.is_none() && in_time()
    });
    let name = bug.name();
    match &caught {
        Some((seed, violation)) => {
            let by = violation.checker;
            println!("| {name} | {by} (seed {seed}) | {runs} | {allowed} |");
        }
        None if runs < allowed => {
            println!("| {name} | the time was up | {runs} | {allowed} |");
            return None;
        }
        None => println!("| {name} | NOT CAUGHT | {runs} | {allowed} |"),
    }
    Some(caught.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planted(line: &str) -> Vec<Bug> {
        let words: Vec<String> = line.split_whitespace().map(String::from).collect();
        which(&Options::parse(&words).expect("it can be read"))
    }

    #[test]
    fn every_bug_has_its_turn_wherever_one_begins() {
        assert_eq!(planted("--planted"), Bug::ALL);
        let later = planted("--planted --from 3");
        assert_eq!(later[0], Bug::ALL[3]);
        assert_eq!(later.len(), Bug::ALL.len());
        assert_eq!(later[later.len() - 1], Bug::ALL[2]);
    }

    #[test]
    fn in_a_hurry_those_that_need_many_seeds_wait_unless_one_is_named() {
        let quick = planted("--planted --minutes 2 --from 1000");
        assert!(quick.len() > Bug::ALL.len() / 2);
        assert!(!quick.contains(&Bug::GroupIdsGivenAgain));
        let named = planted("--planted --minutes 2 --bug GroupIdsGivenAgain");
        assert_eq!(named, [Bug::GroupIdsGivenAgain]);
    }
}
