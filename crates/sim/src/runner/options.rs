//! What the command line asks for.

use std::ops::Range;
use std::path::PathBuf;

const USAGE: &str = "usage: sim [--seeds A..B | --count N] [--seed N [--trace]] [--jobs N] \
    [--minutes N] [--ruined] [--resume] [--planted [--from N]] [--bug NAME] [--checkpoint FILE]";

/// The options.
#[derive(Clone, Debug)]
pub struct Options {
    /// The seeds to run.
    pub seeds: Range<u64>,
    /// Only those in which most of the nodes that vote on metadata are lost.
    pub ruined: bool,
    /// One seed alone.
    pub seed: Option<u64>,
    /// Print its trace.
    pub trace: bool,
    /// Threads.
    pub jobs: usize,
    /// Go on from the checkpoint.
    pub resume: bool,
    /// Plant each bug and see that it is caught.
    pub planted: bool,
    /// Plant this one.
    pub bug: Option<base::Bug>,
    /// Where in the list of bugs to begin, counted around.
    pub from: u64,
    /// No seed begins after so many minutes.
    pub minutes: Option<u64>,
    /// Where the checkpoint is kept.
    pub checkpoint: PathBuf,
}

impl Options {
    /// Reads the arguments; the error is to be shown to the user.
    pub fn parse(args: &[String]) -> Result<Options, String> {
        let mut options = Options {
            seeds: 0..100,
            ruined: false,
            seed: None,
            trace: false,
            jobs: 2,
            resume: false,
            planted: false,
            bug: None,
            from: 0,
            minutes: None,
            checkpoint: PathBuf::from("target/sim-checkpoint.txt"),
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || {
                args.next()
                    .ok_or_else(|| format!("{USAGE}\n{arg} wants a value"))
            };
            match arg.as_str() {
                "--seeds" => options.seeds = range(value()?)?,
                "--count" => options.seeds = 0..number(value()?)?,
                "--seed" => options.seed = Some(number(value()?)?),
                "--jobs" => options.jobs = number(value()?)?.max(1) as usize,
                "--ruined" => options.ruined = true,
                "--trace" => options.trace = true,
                "--resume" => options.resume = true,
                "--planted" => options.planted = true,
                "--bug" => options.bug = Some(bug(value()?)?),
                "--from" => options.from = number(value()?)?,
                "--minutes" => options.minutes = Some(number(value()?)?),
                "--checkpoint" => options.checkpoint = PathBuf::from(value()?),
                other => return Err(format!("{USAGE}\n{other} is not known")),
            }
        }
        if options.bug.is_some() && options.seed.is_none() && !options.planted {
            return Err(format!(
                "{USAGE}\n--bug wants --planted, to see whether it is caught, or a --seed to plant it in"
            ));
        }
        Ok(options)
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("{USAGE}\n'{text}' is not a number"))
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text
        .split_once("..")
        .ok_or_else(|| format!("{USAGE}\n'{text}' is no range"))?;
    Ok(number(from)?..number(to)?)
}

fn bug(name: &str) -> Result<base::Bug, String> {
    let known = base::Bug::ALL.iter().find(|bug| bug.name() == name);
    known
        .copied()
        .ok_or_else(|| format!("{USAGE}\nno bug is called '{name}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(
            &line
                .split_whitespace()
                .map(String::from)
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn ranges_counts_and_bugs_are_read_and_nonsense_is_refused() {
        assert_eq!(parse("--seeds 5..9").unwrap().seeds, 5..9);
        assert_eq!(parse("--count 7 --jobs 1").unwrap().seeds, 0..7);
        assert_eq!(parse("--count 7 --minutes 2").unwrap().minutes, Some(2));
        assert_eq!(parse("--planted --from 70").unwrap().from, 70);
        assert_eq!(
            parse("--planted --bug SkipLogMatching").unwrap().bug,
            Some(base::Bug::SkipLogMatching)
        );
        let alone = "--bug SkipLogMatching --seeds 5..9";
        for line in [
            "--seeds 5",
            "--count x",
            "--what",
            "--seed",
            "--bug No",
            alone,
        ] {
            assert!(parse(line).unwrap_err().starts_with("usage"), "{line}");
        }
    }
}
