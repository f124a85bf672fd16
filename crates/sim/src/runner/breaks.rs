//! Which promises each planted bug breaks: nothing else that is found counts as having caught it.

use base::Bug;

/// Replicas, or what clients were told, differ.
const DATA: &[&str] = &[
    "acked is never lost",
    "an offset has one value",
    "replicas are equal",
    "committed stays committed",
    "committed stays readable",
    "offsets are contiguous",
    "what is committed is on a majority",
    "high watermarks don't go back",
    "only committed records are visible",
    // An assertion of the product, or of the crate that it elects with, may be first.
    "nothing panics",
];
/// A start doesn't find what was durable, or takes what it finds for something else.
const START: &[&str] = &[
    "a start finds what was durable",
    "whole data is not suspected",
    "a node with whole data starts",
    "a replica's log can be read",
    "storage works on a disk that works",
    "damage is told from a torn tail",
];
/// Groups and their offsets.
const GROUPS: &[&str] = &[
    "committed offsets are found again",
    "committed offsets don't go back",
    "generations don't go back",
    "a member's epoch doesn't go back",
    "one owner per partition and generation",
    "one owner at a time",
    // Replicas of a coordinator know other groups, or a group never settles.
    "the cluster converges",
];
const PRODUCERS: &[&str] = &[
    "sequences follow on each other",
    "nothing is there twice",
    "acked is never lost",
    "replicas remember the same producers",
    "errors are explained",
];
const STARTS: &[&str] = &[
    "starts don't go back",
    "offsets are contiguous",
    "what lies before the start is not served",
    "a log starts where it was asked to",
    "deleted records are gone",
    "no start is above the high watermark",
    "committed stays readable",
];
/// Something that has to come to be doesn't.
const RESTS: &[&str] = &["the cluster converges", "nodes rest"];
const LEADS: &[&str] = &["one leader in a term", "metadata epochs don't go back"];
const ALONE: &[&str] = &[
    "a recovery comes to its end",
    "what those that are left knew stays",
    "nobody goes on alone unasked",
    "no majority is done without while it is there",
];
const COMPACTED: &[&str] = &[
    "compaction keeps the last of each key",
    "an offset has one value",
    "replicas are equal",
];
const ROT: &[&str] = &[
    "corrupted bytes are never served",
    "damage is told from a torn tail",
    "a replica's log can be read",
];

/// The promises that a bug breaks.
fn breaks(bug: Bug) -> Vec<&'static [&'static str]> {
    match bug {
        Bug::AckBeforeFsync
        | Bug::PersistBeforeFsync
        | Bug::ForgetTruncation
        | Bug::RecycleBeforeSync
        | Bug::UnseededChecksum
        | Bug::AckBeforeInstalled
        | Bug::InstalledBeforeSync
        | Bug::InstallNotLogged
        | Bug::UnlinkBeforeCheckpoint
        | Bug::SwitchBeforeSync
        | Bug::TrustPageCache => vec![DATA, START],
        Bug::VoteNotPersisted | Bug::CheckpointWithoutVotes => vec![START, LEADS],
        Bug::RetryFailedSync => vec![&["a failed sync stops the node"]],
        Bug::SkipLogMatching
        | Bug::ServeAboveHighWatermark
        | Bug::TruncateKeepsOffsets
        | Bug::OffsetsFromCommit
        | Bug::HighWatermarkGoesBack
        | Bug::NewLeaderGuessesHighWatermark => vec![DATA],
        // Where nobody may commit without a majority, a smaller one shows as a cluster that doesn't agree.
        Bug::QuorumTooSmall | Bug::VotersChangedAtOnce => vec![DATA, LEADS, RESTS],
        Bug::CorruptionAsTail | Bug::SkipVerification => vec![ROT, START, DATA],
        Bug::DamageLeftAlone => vec![ROT, RESTS],
        Bug::DuplicateBeforeCommit | Bug::ForgetSequences | Bug::ProducersSurviveTruncation => {
            vec![PRODUCERS]
        }
        Bug::SnapshotWithoutProducers | Bug::ExpiredTooEarly => vec![PRODUCERS],
        Bug::AnswersOutOfOrder => vec![&["answers come in the order of requests"]],
        Bug::SnapshotWithoutOffset => vec![DATA, STARTS],
        Bug::SnapshotWithoutMetadata
        | Bug::MetadataKeptAhead
        | Bug::SnapshotNeverFails
        | Bug::SnapshotWithoutItsPrefix
        | Bug::ForgetKeepsPosition
        | Bug::FullForEver
        | Bug::BalanceTakesTheLast
        | Bug::JoinsAsFounder
        | Bug::SessionLeavesOutRecords
        | Bug::LostKeepTheirPlaces
        | Bug::RecoveredBeforeOnRecord => vec![RESTS, ALONE, COMPACTED],
        Bug::MetadataForgottenAtRestart => vec![RESTS, ALONE, LEADS],
        Bug::ImportCutShort | Bug::TombstoneTooEarly => vec![COMPACTED],
        Bug::CompactionDropsLast => vec![COMPACTED, GROUPS],
        Bug::StartNotCheckpointed | Bug::StartBeforeCommit | Bug::FetchBelowStart => vec![STARTS],
        Bug::GroupAnswerBeforeCommit
        | Bug::UncommittedOffsetsShown
        | Bug::GroupsSurviveStepDown
        | Bug::SoftSurvivesStepDown
        | Bug::ServeBeforeLoaded
        | Bug::ServeBeforeTermCommit
        | Bug::SessionForgotten
        | Bug::GenerationNotBumped
        | Bug::GivenBeforeReleased => vec![GROUPS],
        Bug::ConfigurationForgottenAtRestart => vec![LEADS, START, DATA],
        Bug::IncarnationNotBumped | Bug::RemovedBeforeItsGroupLetGo => vec![DATA, LEADS, RESTS],
        Bug::RenewedAsTheSame
        | Bug::SurvivorKeepsOthersVotes
        | Bug::SurvivorKeepsItsTerm
        | Bug::UncleanWhileMajorityLives => vec![ALONE, DATA, LEADS],
        Bug::UnregisteredWithReplicas => vec![START, RESTS],
        Bug::OthersThatAreLeftKeepTheirs | Bug::GroupIdsGivenAgain => {
            vec![START, LEADS, DATA, ALONE]
        }
    }
}

/// True if a broken promise is one that this bug breaks.
pub(super) fn is_expected(bug: Bug, checker: &str) -> bool {
    breaks(bug)
        .into_iter()
        .flatten()
        .any(|name| *name == checker)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the last whole run: which checker caught which bug.
    fn recorded() -> Vec<(Bug, &'static str)> {
        let page = include_str!("../../../../docs/testing.md");
        let rows = page.lines().filter_map(|line| {
            let mut cells = line.strip_prefix("| ")?.split(" | ");
            let name = cells.next()?;
            let bug = Bug::ALL.iter().find(|bug| bug.name() == name)?;
            Some((*bug, cells.next()?))
        });
        rows.collect()
    }

    #[test]
    fn what_caught_a_bug_is_there_for_it_and_each_bug_has_its_row() {
        let recorded = recorded();
        for bug in Bug::ALL {
            let row = recorded.iter().find(|(name, _)| name == bug);
            let (_, checker) = row.unwrap_or_else(|| panic!("{} has no row", bug.name()));
            assert!(is_expected(*bug, checker), "{}: {checker}", bug.name());
        }
    }

    #[test]
    fn the_promises_that_bugs_break_are_promises_that_are_checked() {
        let mut all = String::new();
        let mut dirs = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    dirs.push(path);
                } else if !path.ends_with("breaks.rs") {
                    all += &std::fs::read_to_string(path).unwrap();
                }
            }
        }
        for name in Bug::ALL.iter().flat_map(|bug| breaks(*bug)).flatten() {
            assert!(all.contains(&format!("\"{name}\"")), "{name}");
        }
    }
}
