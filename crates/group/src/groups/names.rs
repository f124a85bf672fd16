//! How long names may be. Keys and old values of `__consumer_offsets` count the bytes of a name
//! in 16 bits, but newer requests may carry longer ones: such a name can't be put on record, and
//! cut short it would be another's.

use crate::Command;
use crate::command::{ConsumerHeartbeat, JoinGroup, OffsetCommit};
use base::Refusal;

/// Longest name that goes on record; an id made of it is longer by the text of a UUID.
const NAME_BYTES_MAX: usize = i16::MAX as usize - 64;

/// Refuses a command with a name that is too long.
pub(crate) fn check(command: &Command) -> Result<(), Refusal> {
    let fine = match command {
        Command::JoinGroup(join) => joins(join),
        Command::OffsetCommit(commit) => commits(commit),
        Command::ConsumerHeartbeat(beat) => beats(beat),
        // These only look for names that are there already.
        _ => true,
    };
    match fine {
        true => Ok(()),
        false => {
            let text = format!("a name has more than {NAME_BYTES_MAX} bytes");
            Err(Refusal::InvalidRequest(text))
        }
    }
}

fn fits(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
}

fn any_fits(name: Option<&String>) -> bool {
    name.is_none_or(|name| fits(name))
}

fn joins(join: &JoinGroup) -> bool {
    // A classic member comes to a consumer group with any id.
    fits(&join.group)
        && fits(&join.member)
        && any_fits(join.instance.as_ref())
        && fits(&join.client.id)
        && fits(&join.client.host)
        && fits(&join.protocol_type)
        && join.protocols.iter().all(|protocol| fits(&protocol.name))
}

/// The string beside an offset is in the old form only if the offset has a time to go.
fn commits(commit: &OffsetCommit) -> bool {
    let old = commit.retention_ms.is_some();
    fits(&commit.group)
        && commit.topics.iter().all(|topic| {
            let mut partitions = topic.partitions.iter();
            fits(&topic.name) && partitions.all(|p| !old || any_fits(p.metadata.as_ref()))
        })
}

fn beats(beat: &ConsumerHeartbeat) -> bool {
    fits(&beat.group) && fits(&beat.member) && any_fits(beat.regex.as_ref())
}
