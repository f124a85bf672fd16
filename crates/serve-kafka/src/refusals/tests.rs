//! Each refusal and its code, by Kafka's table.

use super::*;

fn text() -> String {
    "why".into()
}

#[test]
fn each_refusal_has_kafkas_code() {
    let rows = [
        (Refusal::UnknownTopic, 3),
        (Refusal::UnknownTopicId, 100),
        (Refusal::TopicExists(text()), 36),
        (Refusal::InvalidTopic(text()), 17),
        (Refusal::InvalidPartitions(text()), 37),
        (Refusal::InvalidReplicationFactor(text()), 38),
        (Refusal::InvalidReplicaAssignment(text()), 39),
        (Refusal::InvalidConfig(text()), 40),
        (Refusal::InvalidRequest(text()), 42),
        (Refusal::NotLeader { leader: None }, 6),
        (Refusal::LeaderNotAvailable, 5),
        (Refusal::FencedLeaderEpoch, 74),
        (Refusal::UnknownLeaderEpoch, 75),
        (Refusal::OffsetOutOfRange, 1),
        (Refusal::OffsetNotAvailable, 78),
        (Refusal::CorruptMessage(text()), 2),
        (Refusal::InvalidRecord(text()), 87),
        (Refusal::MessageTooLarge { bytes: 2, limit: 1 }, 10),
        (Refusal::InvalidTimestamp(text()), 32),
        (Refusal::UnsupportedForMessageFormat(text()), 43),
        (Refusal::UnsupportedCompression(text()), 76),
        (Refusal::InvalidRequiredAcks, 21),
        (Refusal::OutOfOrderSequence(text()), 45),
        (Refusal::DuplicateSequence, 46),
        (
            Refusal::InvalidProducerEpoch {
                epoch: 0,
                current: 1,
            },
            47,
        ),
        (Refusal::UnknownProducer, 59),
        (Refusal::NotEnoughReplicas { min: 2 }, 19),
        (Refusal::NotEnoughReplicasAfterAppend { min: 2 }, 20),
        (Refusal::Timeout, 7),
        (Refusal::Storage(text()), 56),
        (Refusal::NoRoomElsewhere(text()), 19),
        (Refusal::Denied, 29),
        (Refusal::NoController, 41),
        (Refusal::Busy(text()), 7),
        (Refusal::Policy(text()), 44),
        (Refusal::Unsupported(text()), 35),
        (Refusal::CoordinatorNotAvailable(text()), 15),
        (Refusal::NotCoordinator, 16),
        (Refusal::CoordinatorLoading, 14),
        (Refusal::IllegalGeneration, 22),
        (Refusal::RebalanceInProgress, 27),
        (Refusal::InconsistentGroupProtocol, 23),
        (Refusal::InvalidSessionTimeout, 26),
        (Refusal::MemberIdRequired, 79),
        (Refusal::NonEmptyGroup, 68),
        (Refusal::InvalidGroupId, 24),
        (Refusal::GroupSubscribedToTopic, 86),
        (Refusal::OffsetMetadataTooLarge, 12),
        (Refusal::InvalidCommitOffsetSize, 28),
        (Refusal::UnstableOffsetCommit, 88),
        (Refusal::UnknownMember(text()), 25),
        (Refusal::FencedInstance(text()), 82),
        (Refusal::GroupMaxSize(text()), 81),
        (Refusal::GroupIdNotFound(text()), 69),
        (Refusal::UnreleasedInstance(text()), 111),
        (Refusal::UnsupportedAssignor(text()), 112),
        (Refusal::FencedMemberEpoch(text()), 110),
        (Refusal::StaleMemberEpoch(text()), 113),
        (Refusal::InvalidRegularExpression(text()), 128),
        (Refusal::Unexpected(text()), -1),
        (Refusal::UnknownNode(text()), 102),
        (Refusal::ElectionNotNeeded(text()), 84),
        (Refusal::PreferredLeaderNotAvailable(text()), 80),
        (Refusal::EligibleLeadersNotAvailable(text()), 83),
        (Refusal::QuotaExceeded(text()), 89),
    ];
    for (refusal, expected) in rows {
        assert_eq!(code(&refusal), expected, "{refusal:?}");
    }
}

#[test]
fn consumers_only_get_codes_they_survive() {
    assert_eq!(fetch_code(&Refusal::Timeout, 13), 56);
    assert_eq!(fetch_code(&Refusal::Busy(text()), 4), 6);
    assert_eq!(fetch_code(&Refusal::Storage(text()), 5), 6);
    assert_eq!(fetch_code(&Refusal::Storage(text()), 6), 56);
    assert_eq!(fetch_code(&Refusal::LeaderNotAvailable, 13), 6);
    assert_eq!(fetch_code(&Refusal::OffsetOutOfRange, 4), 1);
}

#[test]
fn producers_ask_again_for_an_id_that_is_late() {
    for late in [
        Refusal::Timeout,
        Refusal::NoController,
        Refusal::Busy(text()),
    ] {
        assert_eq!(producer_id_code(&late), 14);
    }
    assert_eq!(
        producer_id_code(&Refusal::CoordinatorNotAvailable(text())),
        15
    );
}
