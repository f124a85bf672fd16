//! The command line of `flotilla group`.

use super::Target;
use crate::time;
use clap::{ArgGroup, Args, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

/// What can be done with consumer groups.
#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// List groups
    List(GroupList),
    /// Show state, members and offsets of groups
    Describe(GroupNames),
    /// Show who is in groups and what each member was given
    Members(GroupNames),
    /// Show how far groups are behind, in records and in time
    Lag(GroupLag),
    /// Show the lag of a group again and again, with its speed
    Watch(GroupWatch),
    /// Move the committed offsets of a group that is not running; shows what it would do unless
    /// told to --execute
    ResetOffsets(ResetOffsets),
    /// Delete groups, or their offsets of some topics
    Delete(GroupDelete),
}

/// `flotilla group list`.
#[derive(Debug, Args)]
pub struct GroupList {
    /// Only groups in this state (empty, stable, ...); may be repeated
    #[arg(long)]
    pub state: Vec<String>,
    /// Only groups of this type (classic, consumer, ...); may be repeated
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    /// The cluster
    #[command(flatten)]
    pub target: Target,
}

/// `flotilla group describe` and `flotilla group members`.
#[derive(Debug, Args)]
pub struct GroupNames {
    /// Which
    #[arg(required = true)]
    pub names: Vec<String>,
    /// The cluster
    #[command(flatten)]
    pub target: Target,
}

/// `flotilla group lag`.
#[derive(Debug, Args)]
pub struct GroupLag {
    /// Which; all of them if none is named
    pub names: Vec<String>,
    /// The cluster
    #[command(flatten)]
    pub target: Target,
}

/// `flotilla group watch`.
#[derive(Debug, Args)]
pub struct GroupWatch {
    /// Which
    pub name: String,
    /// Look again after this many seconds
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = super::seconds)]
    pub interval: Duration,
    /// Stop after this many looks
    #[arg(short = 'n', long, value_name = "LOOKS")]
    pub count: Option<u64>,
    /// The cluster
    #[command(flatten)]
    pub target: Target,
}

/// `flotilla group delete`.
#[derive(Debug, Args)]
pub struct GroupDelete {
    /// Which
    #[arg(required = true)]
    pub names: Vec<String>,
    /// Delete only the offsets of this topic, or of TOPIC:PARTITION,PARTITION,...; may be repeated
    #[arg(long, value_name = "TOPIC", value_parser = part)]
    pub topic: Vec<Part>,
    /// A missing group is fine too
    #[arg(long)]
    pub if_exists: bool,
    /// The cluster
    #[command(flatten)]
    pub target: Target,
}

/// `flotilla group reset-offsets`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("goal").required(true))]
#[command(group = ArgGroup::new("scope").required(true))]
pub struct ResetOffsets {
    /// Which group
    pub name: String,
    /// A topic, or TOPIC:PARTITION,PARTITION,...; may be repeated
    #[arg(long, value_name = "TOPIC", group = "scope", value_parser = part)]
    pub topic: Vec<Part>,
    /// Every topic that the group has offsets of
    #[arg(long, group = "scope")]
    pub all_topics: bool,
    /// To the first record there is
    #[arg(long, group = "goal")]
    pub to_earliest: bool,
    /// To the end, so that only new records are read
    #[arg(long, group = "goal")]
    pub to_latest: bool,
    /// To this offset
    #[arg(long, value_name = "OFFSET", group = "goal", value_parser = clap::value_parser!(i64).range(0..))]
    pub to_offset: Option<i64>,
    /// Forwards by this many records, backwards if it is negative
    #[arg(
        long,
        value_name = "RECORDS",
        group = "goal",
        allow_negative_numbers = true
    )]
    pub shift_by: Option<i64>,
    /// To the first record of the last PT1H30M, 90m, 2h, 7d
    #[arg(long, value_name = "DURATION", group = "goal", value_parser = time::duration_ms)]
    pub by_duration: Option<i64>,
    /// To the first record from 2026-01-31T12:00:00 on (UTC, or with an offset like +02:00)
    #[arg(long, value_name = "TIME", group = "goal", value_parser = time::datetime_ms)]
    pub to_datetime: Option<i64>,
    /// To where it is; sets partitions without an offset to the end
    #[arg(long, group = "goal")]
    pub to_current: bool,
    /// To the offsets in this file of lines `topic,partition,offset`; names the partitions too
    #[arg(long, value_name = "PATH", groups = ["goal", "scope"])]
    pub from_file: Option<PathBuf>,
    /// Print lines for --from-file instead of a table
    #[arg(long)]
    pub export: bool,
    /// Do it
    #[arg(long)]
    pub execute: bool,
    /// The cluster
    #[command(flatten)]
    pub target: Target,
}

/// A topic, or some partitions of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub topic: String,
    /// Which partitions; none named means all.
    pub partitions: Option<Vec<i32>>,
}

fn part(text: &str) -> Result<Part, String> {
    let (topic, partitions) = match text.split_once(':') {
        None => (text, None),
        Some((topic, numbers)) => (topic, Some(numbers)),
    };
    let number = |n: &str| n.trim().parse::<i32>().ok().filter(|n| *n >= 0);
    let partitions = partitions.map(|list| list.split(',').map(number).collect());
    match partitions {
        _ if topic.is_empty() => Err("a topic has a name".into()),
        Some(None) => Err("write it as TOPIC or TOPIC:0,1,2".into()),
        partitions => Ok(Part {
            topic: topic.into(),
            partitions: partitions.flatten(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_may_name_partitions() {
        let whole = |topic: &str| Part {
            topic: topic.into(),
            partitions: None,
        };
        assert_eq!(part("orders"), Ok(whole("orders")));
        let some = Part {
            partitions: Some(vec![0, 12]),
            ..whole("orders")
        };
        assert_eq!(part("orders:0, 12"), Ok(some));
        for bad in ["", ":1", "orders:", "orders:a", "orders:-1", "orders:1,,2"] {
            assert!(part(bad).is_err(), "{bad}");
        }
    }
}
