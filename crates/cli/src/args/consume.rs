//! What can be typed about consuming.

use super::Target;
use crate::time;
use clap::{Args, ValueEnum};

/// `flotilla consume`.
#[derive(Debug, Args)]
pub struct Consume {
    /// The topic
    pub topic: String,
    /// Where to begin: earliest, latest, an offset, a time (2026-01-31T12:00:00Z) or how long ago
    /// (15m, 2h, 7d)
    #[arg(long, value_name = "WHERE", default_value = "earliest", value_parser = start)]
    pub from: Start,
    /// Begin so many records before the end of each partition
    #[arg(short, long, value_name = "RECORDS", conflicts_with_all = ["from", "group"])]
    pub last: Option<u32>,
    /// Only this partition
    #[arg(short, long, value_parser = clap::value_parser!(i32).range(0..))]
    pub partition: Option<i32>,
    /// Share the topic's partitions with the others of this group, go on where it stopped, and
    /// commit what was printed
    #[arg(short, long, value_name = "GROUP", conflicts_with = "partition")]
    pub group: Option<String>,
    /// How the group shares: by the classic protocol, or by the newer one of KIP-848, in which the
    /// coordinator moves partitions one by one
    #[arg(
        long,
        value_name = "PROTOCOL",
        value_enum,
        default_value_t,
        requires = "group"
    )]
    pub group_protocol: Protocol,
    /// A name under which the member keeps its partitions while it is away for a moment
    #[arg(long, value_name = "NAME", requires = "group")]
    pub group_instance_id: Option<String>,
    /// Only records with this key
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Only records that have this header, with this value if one is named; all of them if
    /// repeated
    #[arg(short = 'H', long, value_name = "NAME[=VALUE]")]
    pub header: Vec<String>,
    /// Stop after this many records
    #[arg(short = 'n', long, value_name = "RECORDS")]
    pub count: Option<u64>,
    /// Wait for more records at the end; without it the command ends there
    #[arg(short, long)]
    pub follow: bool,
    /// How records are printed; text, unless --output says JSON
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Print the key and this text before each value
    #[arg(short, long, value_name = "TEXT")]
    pub key_separator: Option<String>,
    /// The cluster
    #[command(flatten)]
    pub target: Target,
}

/// A protocol of groups, by the names of Kafka's `group.protocol`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// Which every cluster speaks
    #[default]
    Classic,
    /// Since Kafka 4.0
    Consumer,
}

/// A form in which records are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A value on a line
    Text,
    /// An object on a line, with everything that a record has
    Json,
    /// Values as they are, with nothing between them
    Raw,
    /// Key and value in hexadecimal digits, a tab between them, - where there is none
    Hex,
}

/// Where a consumer begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the first record there is.
    Earliest,
    /// After the last one.
    Latest,
    /// At this offset.
    Offset(i64),
    /// At the first record from this time on, in milliseconds since 1970.
    At(i64),
    /// At the first record of the last so many milliseconds.
    Ago(i64),
}

fn start(text: &str) -> Result<Start, String> {
    match text {
        "earliest" => return Ok(Start::Earliest),
        "latest" => return Ok(Start::Latest),
        _ => {}
    }
    let offset = text.parse().ok().filter(|offset| *offset >= 0);
    let time = || time::datetime_ms(text).ok().map(Start::At);
    let ago = || time::duration_ms(text).ok().map(Start::Ago);
    offset
        .map(Start::Offset)
        .or_else(time)
        .or_else(ago)
        .ok_or_else(|| {
            "say earliest, latest, an offset from 0, a time as 2026-01-31T12:00:00Z, or how long ago as 15m".into()
        })
}
