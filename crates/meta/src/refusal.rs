//! Refusals in binary: the controller's "no" travels to the node that asked. Numbers are never
//! reused.

use crate::codec::{Malformed, Reader, Writer};
use base::{Refusal, Term};

/// The number of each refusal.
fn kind(refusal: &Refusal) -> u8 {
    match refusal {
        Refusal::UnknownTopic => 0,
        Refusal::UnknownTopicId => 1,
        Refusal::TopicExists(_) => 2,
        Refusal::InvalidTopic(_) => 3,
        Refusal::InvalidPartitions(_) => 4,
        Refusal::InvalidReplicationFactor(_) => 5,
        Refusal::InvalidReplicaAssignment(_) => 6,
        Refusal::InvalidConfig(_) => 7,
        Refusal::InvalidRequest(_) => 8,
        Refusal::NotLeader { .. } => 9,
        Refusal::LeaderNotAvailable => 10,
        Refusal::FencedLeaderEpoch => 11,
        Refusal::UnknownLeaderEpoch => 12,
        Refusal::OffsetOutOfRange => 13,
        Refusal::OffsetNotAvailable => 14,
        Refusal::CorruptMessage(_) => 15,
        Refusal::InvalidRecord(_) => 16,
        Refusal::MessageTooLarge { .. } => 17,
        Refusal::InvalidTimestamp(_) => 18,
        Refusal::UnsupportedForMessageFormat(_) => 19,
        Refusal::UnsupportedCompression(_) => 20,
        Refusal::InvalidRequiredAcks => 21,
        Refusal::OutOfOrderSequence(_) => 22,
        Refusal::DuplicateSequence => 23,
        Refusal::InvalidProducerEpoch { .. } => 24,
        Refusal::UnknownProducer => 25,
        Refusal::NotEnoughReplicas { .. } => 26,
        Refusal::NotEnoughReplicasAfterAppend { .. } => 27,
        Refusal::Timeout => 28,
        Refusal::Storage(_) => 29,
        Refusal::Denied => 30,
        Refusal::NoController => 31,
        Refusal::Busy(_) => 32,
        Refusal::Policy(_) => 33,
        Refusal::Unsupported(_) => 34,
        Refusal::CoordinatorNotAvailable(_) => 35,
        Refusal::NotCoordinator => 36,
        Refusal::CoordinatorLoading => 37,
        Refusal::IllegalGeneration => 38,
        Refusal::RebalanceInProgress => 39,
        Refusal::InconsistentGroupProtocol => 40,
        Refusal::InvalidSessionTimeout => 41,
        Refusal::MemberIdRequired => 42,
        Refusal::NonEmptyGroup => 43,
        Refusal::InvalidGroupId => 44,
        Refusal::GroupSubscribedToTopic => 45,
        Refusal::OffsetMetadataTooLarge => 46,
        Refusal::InvalidCommitOffsetSize => 47,
        Refusal::UnstableOffsetCommit => 48,
        Refusal::UnknownMember(_) => 49,
        Refusal::FencedInstance(_) => 50,
        Refusal::GroupMaxSize(_) => 51,
        Refusal::GroupIdNotFound(_) => 52,
        Refusal::UnreleasedInstance(_) => 53,
        Refusal::UnsupportedAssignor(_) => 54,
        Refusal::FencedMemberEpoch(_) => 55,
        Refusal::StaleMemberEpoch(_) => 56,
        Refusal::InvalidRegularExpression(_) => 57,
        Refusal::Unexpected(_) => 58,
        Refusal::UnknownNode(_) => 59,
        Refusal::ElectionNotNeeded(_) => 60,
        Refusal::PreferredLeaderNotAvailable(_) => 61,
        Refusal::EligibleLeadersNotAvailable(_) => 62,
        Refusal::QuotaExceeded(_) => 63,
        Refusal::NoReassignment => 64,
        Refusal::NoRoomElsewhere(_) => 65,
    }
}

pub(crate) fn write(w: &mut Writer, refusal: &Refusal) {
    w.byte(kind(refusal));
    match refusal {
        Refusal::NotLeader { leader } => {
            w.option(*leader, |w, (node, term)| {
                w.number(u64::from(node.0));
                w.number(u64::from(term.0));
            });
        }
        Refusal::MessageTooLarge { bytes, limit } => {
            w.number(*bytes);
            w.number(*limit);
        }
        Refusal::InvalidProducerEpoch { epoch, current } => {
            w.signed(i64::from(*epoch));
            w.signed(i64::from(*current));
        }
        Refusal::NotEnoughReplicas { min } | Refusal::NotEnoughReplicasAfterAppend { min } => {
            w.number(u64::from(*min));
        }
        Refusal::TopicExists(text)
        | Refusal::InvalidTopic(text)
        | Refusal::InvalidPartitions(text)
        | Refusal::InvalidReplicationFactor(text)
        | Refusal::InvalidReplicaAssignment(text)
        | Refusal::InvalidConfig(text)
        | Refusal::InvalidRequest(text)
        | Refusal::CorruptMessage(text)
        | Refusal::InvalidRecord(text)
        | Refusal::InvalidTimestamp(text)
        | Refusal::UnsupportedForMessageFormat(text)
        | Refusal::UnsupportedCompression(text)
        | Refusal::OutOfOrderSequence(text)
        | Refusal::Storage(text)
        | Refusal::NoRoomElsewhere(text)
        | Refusal::Busy(text)
        | Refusal::Policy(text)
        | Refusal::Unsupported(text)
        | Refusal::CoordinatorNotAvailable(text)
        | Refusal::UnknownMember(text)
        | Refusal::FencedInstance(text)
        | Refusal::GroupMaxSize(text)
        | Refusal::GroupIdNotFound(text)
        | Refusal::UnreleasedInstance(text)
        | Refusal::UnsupportedAssignor(text)
        | Refusal::FencedMemberEpoch(text)
        | Refusal::StaleMemberEpoch(text)
        | Refusal::InvalidRegularExpression(text)
        | Refusal::UnknownNode(text)
        | Refusal::ElectionNotNeeded(text)
        | Refusal::PreferredLeaderNotAvailable(text)
        | Refusal::EligibleLeadersNotAvailable(text)
        | Refusal::QuotaExceeded(text)
        | Refusal::Unexpected(text) => w.text(text),
        _ => {}
    }
}

pub(crate) fn read(r: &mut Reader<'_>) -> Result<Refusal, Malformed> {
    Ok(match r.byte()? {
        9 => Refusal::NotLeader {
            leader: r.option(|r| Ok((r.node()?, Term(r.small()?))))?,
        },
        17 => Refusal::MessageTooLarge {
            bytes: r.number()?,
            limit: r.number()?,
        },
        24 => Refusal::InvalidProducerEpoch {
            epoch: small(r)?,
            current: small(r)?,
        },
        26 => Refusal::NotEnoughReplicas { min: r.small()? },
        27 => Refusal::NotEnoughReplicasAfterAppend { min: r.small()? },
        kind => match bare(kind) {
            Some(refusal) => refusal,
            None => with_text(kind).ok_or(Malformed)?(r.text()?),
        },
    })
}

/// The refusal that is nothing but its number.
fn bare(kind: u8) -> Option<Refusal> {
    Some(match kind {
        0 => Refusal::UnknownTopic,
        1 => Refusal::UnknownTopicId,
        10 => Refusal::LeaderNotAvailable,
        11 => Refusal::FencedLeaderEpoch,
        12 => Refusal::UnknownLeaderEpoch,
        13 => Refusal::OffsetOutOfRange,
        14 => Refusal::OffsetNotAvailable,
        21 => Refusal::InvalidRequiredAcks,
        23 => Refusal::DuplicateSequence,
        25 => Refusal::UnknownProducer,
        28 => Refusal::Timeout,
        30 => Refusal::Denied,
        31 => Refusal::NoController,
        36 => Refusal::NotCoordinator,
        37 => Refusal::CoordinatorLoading,
        38 => Refusal::IllegalGeneration,
        39 => Refusal::RebalanceInProgress,
        40 => Refusal::InconsistentGroupProtocol,
        41 => Refusal::InvalidSessionTimeout,
        42 => Refusal::MemberIdRequired,
        43 => Refusal::NonEmptyGroup,
        44 => Refusal::InvalidGroupId,
        45 => Refusal::GroupSubscribedToTopic,
        46 => Refusal::OffsetMetadataTooLarge,
        47 => Refusal::InvalidCommitOffsetSize,
        48 => Refusal::UnstableOffsetCommit,
        64 => Refusal::NoReassignment,
        _ => return None,
    })
}

/// The refusal that is nothing but its text.
fn with_text(kind: u8) -> Option<fn(String) -> Refusal> {
    Some(match kind {
        2 => Refusal::TopicExists,
        3 => Refusal::InvalidTopic,
        4 => Refusal::InvalidPartitions,
        5 => Refusal::InvalidReplicationFactor,
        6 => Refusal::InvalidReplicaAssignment,
        7 => Refusal::InvalidConfig,
        8 => Refusal::InvalidRequest,
        15 => Refusal::CorruptMessage,
        16 => Refusal::InvalidRecord,
        18 => Refusal::InvalidTimestamp,
        19 => Refusal::UnsupportedForMessageFormat,
        20 => Refusal::UnsupportedCompression,
        22 => Refusal::OutOfOrderSequence,
        29 => Refusal::Storage,
        32 => Refusal::Busy,
        33 => Refusal::Policy,
        34 => Refusal::Unsupported,
        35 => Refusal::CoordinatorNotAvailable,
        49 => Refusal::UnknownMember,
        50 => Refusal::FencedInstance,
        51 => Refusal::GroupMaxSize,
        52 => Refusal::GroupIdNotFound,
        53 => Refusal::UnreleasedInstance,
        54 => Refusal::UnsupportedAssignor,
        55 => Refusal::FencedMemberEpoch,
        56 => Refusal::StaleMemberEpoch,
        57 => Refusal::InvalidRegularExpression,
        58 => Refusal::Unexpected,
        59 => Refusal::UnknownNode,
        60 => Refusal::ElectionNotNeeded,
        61 => Refusal::PreferredLeaderNotAvailable,
        62 => Refusal::EligibleLeadersNotAvailable,
        63 => Refusal::QuotaExceeded,
        65 => Refusal::NoRoomElsewhere,
        _ => return None,
    })
}

fn small(r: &mut Reader<'_>) -> Result<i16, Malformed> {
    i16::try_from(r.signed()?).map_err(|_| Malformed)
}
