//! Refusals in binary: the controller's "no" travels to the node that asked. Numbers are never
//! reused.

use crate::codec::{Malformed, Reader, Writer};
use base::{Refusal, Term};

/// The number of a refusal that is nothing but its text.
fn text_of(refusal: &Refusal) -> Option<(u8, &str)> {
    Some(match refusal {
        Refusal::TopicExists(text) => (2, text),
        Refusal::InvalidTopic(text) => (3, text),
        Refusal::InvalidPartitions(text) => (4, text),
        Refusal::InvalidReplicationFactor(text) => (5, text),
        Refusal::InvalidReplicaAssignment(text) => (6, text),
        Refusal::InvalidConfig(text) => (7, text),
        Refusal::InvalidRequest(text) => (8, text),
        Refusal::CorruptMessage(text) => (15, text),
        Refusal::InvalidRecord(text) => (16, text),
        Refusal::InvalidTimestamp(text) => (18, text),
        Refusal::UnsupportedForMessageFormat(text) => (19, text),
        Refusal::UnsupportedCompression(text) => (20, text),
        Refusal::OutOfOrderSequence(text) => (22, text),
        Refusal::Storage(text) => (29, text),
        Refusal::Busy(text) => (32, text),
        Refusal::Policy(text) => (33, text),
        Refusal::Unsupported(text) => (34, text),
        Refusal::CoordinatorNotAvailable(text) => (35, text),
        Refusal::UnknownMember(text) => (49, text),
        Refusal::FencedInstance(text) => (50, text),
        Refusal::GroupMaxSize(text) => (51, text),
        Refusal::GroupIdNotFound(text) => (52, text),
        Refusal::UnreleasedInstance(text) => (53, text),
        Refusal::UnsupportedAssignor(text) => (54, text),
        Refusal::FencedMemberEpoch(text) => (55, text),
        Refusal::StaleMemberEpoch(text) => (56, text),
        Refusal::InvalidRegularExpression(text) => (57, text),
        Refusal::Unexpected(text) => (58, text),
        _ => return None,
    })
}

pub(crate) fn write(w: &mut Writer, refusal: &Refusal) {
    if let Some((kind, text)) = text_of(refusal) {
        w.byte(kind);
        w.text(text);
        return;
    }
    match refusal {
        Refusal::UnknownTopic => w.byte(0),
        Refusal::UnknownTopicId => w.byte(1),
        Refusal::NotLeader { leader } => {
            w.byte(9);
            w.option(*leader, |w, (node, term)| {
                w.number(u64::from(node.0));
                w.number(u64::from(term.0));
            });
        }
        Refusal::LeaderNotAvailable => w.byte(10),
        Refusal::FencedLeaderEpoch => w.byte(11),
        Refusal::UnknownLeaderEpoch => w.byte(12),
        Refusal::OffsetOutOfRange => w.byte(13),
        Refusal::OffsetNotAvailable => w.byte(14),
        Refusal::MessageTooLarge { bytes, limit } => {
            w.byte(17);
            w.number(*bytes);
            w.number(*limit);
        }
        Refusal::InvalidRequiredAcks => w.byte(21),
        Refusal::DuplicateSequence => w.byte(23),
        Refusal::InvalidProducerEpoch { epoch, current } => {
            w.byte(24);
            w.signed(i64::from(*epoch));
            w.signed(i64::from(*current));
        }
        Refusal::UnknownProducer => w.byte(25),
        Refusal::NotEnoughReplicas { min } => {
            w.byte(26);
            w.number(u64::from(*min));
        }
        Refusal::NotEnoughReplicasAfterAppend { min } => {
            w.byte(27);
            w.number(u64::from(*min));
        }
        Refusal::Timeout => w.byte(28),
        Refusal::Denied => w.byte(30),
        Refusal::NoController => w.byte(31),
        Refusal::NotCoordinator => w.byte(36),
        Refusal::CoordinatorLoading => w.byte(37),
        Refusal::IllegalGeneration => w.byte(38),
        Refusal::RebalanceInProgress => w.byte(39),
        Refusal::InconsistentGroupProtocol => w.byte(40),
        Refusal::InvalidSessionTimeout => w.byte(41),
        Refusal::MemberIdRequired => w.byte(42),
        Refusal::NonEmptyGroup => w.byte(43),
        Refusal::InvalidGroupId => w.byte(44),
        Refusal::GroupSubscribedToTopic => w.byte(45),
        Refusal::OffsetMetadataTooLarge => w.byte(46),
        Refusal::InvalidCommitOffsetSize => w.byte(47),
        Refusal::UnstableOffsetCommit => w.byte(48),
        Refusal::TopicExists(_)
        | Refusal::InvalidTopic(_)
        | Refusal::InvalidPartitions(_)
        | Refusal::InvalidReplicationFactor(_)
        | Refusal::InvalidReplicaAssignment(_)
        | Refusal::InvalidConfig(_)
        | Refusal::InvalidRequest(_)
        | Refusal::CorruptMessage(_)
        | Refusal::InvalidRecord(_)
        | Refusal::InvalidTimestamp(_)
        | Refusal::UnsupportedForMessageFormat(_)
        | Refusal::UnsupportedCompression(_)
        | Refusal::OutOfOrderSequence(_)
        | Refusal::Storage(_)
        | Refusal::Busy(_)
        | Refusal::Policy(_)
        | Refusal::Unsupported(_)
        | Refusal::CoordinatorNotAvailable(_)
        | Refusal::UnknownMember(_)
        | Refusal::FencedInstance(_)
        | Refusal::GroupMaxSize(_)
        | Refusal::GroupIdNotFound(_)
        | Refusal::UnreleasedInstance(_)
        | Refusal::UnsupportedAssignor(_)
        | Refusal::FencedMemberEpoch(_)
        | Refusal::StaleMemberEpoch(_)
        | Refusal::InvalidRegularExpression(_)
        | Refusal::Unexpected(_) => unreachable!("written above, as its text"),
    }
}

pub(crate) fn read(r: &mut Reader<'_>) -> Result<Refusal, Malformed> {
    Ok(match r.byte()? {
        0 => Refusal::UnknownTopic,
        1 => Refusal::UnknownTopicId,
        2 => Refusal::TopicExists(r.text()?),
        3 => Refusal::InvalidTopic(r.text()?),
        4 => Refusal::InvalidPartitions(r.text()?),
        5 => Refusal::InvalidReplicationFactor(r.text()?),
        6 => Refusal::InvalidReplicaAssignment(r.text()?),
        7 => Refusal::InvalidConfig(r.text()?),
        8 => Refusal::InvalidRequest(r.text()?),
        9 => Refusal::NotLeader {
            leader: r.option(|r| Ok((r.node()?, Term(r.small()?))))?,
        },
        10 => Refusal::LeaderNotAvailable,
        11 => Refusal::FencedLeaderEpoch,
        12 => Refusal::UnknownLeaderEpoch,
        13 => Refusal::OffsetOutOfRange,
        14 => Refusal::OffsetNotAvailable,
        15 => Refusal::CorruptMessage(r.text()?),
        16 => Refusal::InvalidRecord(r.text()?),
        17 => Refusal::MessageTooLarge {
            bytes: r.number()?,
            limit: r.number()?,
        },
        18 => Refusal::InvalidTimestamp(r.text()?),
        19 => Refusal::UnsupportedForMessageFormat(r.text()?),
        20 => Refusal::UnsupportedCompression(r.text()?),
        21 => Refusal::InvalidRequiredAcks,
        22 => Refusal::OutOfOrderSequence(r.text()?),
        23 => Refusal::DuplicateSequence,
        24 => Refusal::InvalidProducerEpoch {
            epoch: small(r)?,
            current: small(r)?,
        },
        25 => Refusal::UnknownProducer,
        26 => Refusal::NotEnoughReplicas { min: r.small()? },
        27 => Refusal::NotEnoughReplicasAfterAppend { min: r.small()? },
        28 => Refusal::Timeout,
        29 => Refusal::Storage(r.text()?),
        30 => Refusal::Denied,
        31 => Refusal::NoController,
        32 => Refusal::Busy(r.text()?),
        33 => Refusal::Policy(r.text()?),
        34 => Refusal::Unsupported(r.text()?),
        35 => Refusal::CoordinatorNotAvailable(r.text()?),
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
        49 => Refusal::UnknownMember(r.text()?),
        50 => Refusal::FencedInstance(r.text()?),
        51 => Refusal::GroupMaxSize(r.text()?),
        52 => Refusal::GroupIdNotFound(r.text()?),
        53 => Refusal::UnreleasedInstance(r.text()?),
        54 => Refusal::UnsupportedAssignor(r.text()?),
        55 => Refusal::FencedMemberEpoch(r.text()?),
        56 => Refusal::StaleMemberEpoch(r.text()?),
        57 => Refusal::InvalidRegularExpression(r.text()?),
        58 => Refusal::Unexpected(r.text()?),
        _ => return Err(Malformed),
    })
}

fn small(r: &mut Reader<'_>) -> Result<i16, Malformed> {
    i16::try_from(r.signed()?).map_err(|_| Malformed)
}
