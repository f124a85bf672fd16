use super::*;
use base::{NodeId, Term, Uuid};
use proptest::prelude::*;

fn commands() -> Vec<Command> {
    let configs = [
        ("retention.ms".to_owned(), "1".to_owned()),
        (String::new(), "ü".to_owned()),
    ];
    vec![
        Command::CreateTopics {
            topics: vec![
                NewTopic {
                    name: "orders".to_owned(),
                    id: Uuid([7; 16]),
                    placement: Placement::Spread {
                        partitions: Some(3),
                        replicas: None,
                    },
                    configs: configs.into_iter().collect(),
                },
                NewTopic {
                    name: String::new(),
                    id: Uuid::ZERO,
                    placement: Placement::Manual(vec![vec![NodeId(1), NodeId(2)], vec![]]),
                    configs: Default::default(),
                },
            ],
            validate_only: true,
        },
        Command::DeleteTopics {
            topics: vec![TopicRef::Name("a".to_owned()), TopicRef::Id(Uuid([9; 16]))],
        },
        Command::RegisterNode {
            node: NodeId(u32::MAX),
            info: node_info(None),
        },
        Command::RegisterNode {
            node: NodeId(1),
            info: node_info(Some("r1")),
        },
        Command::IntroduceNode {
            node: NodeId(4),
            home: crate::Home {
                address: "h:1".to_owned(),
                directory: Uuid([3; 16]),
                release: String::new(),
                generation: u32::MAX,
            },
            joins: true,
        },
        Command::DeclareLevels {
            node: NodeId(4),
            levels: crate::LEVELS,
        },
        Command::RaiseLevel {
            level: crate::Level(u16::MAX),
            validate_only: true,
        },
        Command::AllocateProducerIds { count: 1000 },
        Command::AlterConfigs {
            changes: vec![crate::ConfigChange {
                resource: crate::Resource::new(crate::ResourceKind::Group, "g"),
                replace: true,
                edits: vec![
                    ("a".to_owned(), crate::Edit::Set("1".to_owned())),
                    ("b".to_owned(), crate::Edit::Delete),
                    ("c".to_owned(), crate::Edit::Append("x,y".to_owned())),
                    ("d".to_owned(), crate::Edit::Subtract(String::new())),
                ],
            }],
            validate_only: true,
        },
        Command::AddPartitions {
            topics: vec![
                crate::MorePartitions {
                    topic: "a".to_owned(),
                    count: -1,
                    assignment: Some(vec![vec![NodeId(1)], vec![]]),
                },
                crate::MorePartitions {
                    topic: String::new(),
                    count: i32::MAX,
                    assignment: None,
                },
            ],
            validate_only: false,
        },
        Command::AlterQuotas {
            changes: vec![crate::QuotaChange {
                entity: crate::Entity {
                    user: Some(crate::Whom::Default),
                    client: Some(crate::Whom::Named("c".to_owned())),
                    ip: None,
                },
                edits: vec![
                    (
                        "request_percentage".to_owned(),
                        Some(crate::Amount::new(0.5)),
                    ),
                    ("producer_byte_rate".to_owned(), None),
                ],
            }],
            validate_only: false,
        },
        Command::UnregisterNode {
            node: NodeId(9),
            generation: None,
        },
        Command::UnregisterNode {
            node: NodeId(9),
            generation: Some(300),
        },
        Command::Reassign {
            changes: vec![
                crate::Reassignment {
                    topic: "t".to_owned(),
                    partition: base::Partition(3),
                    target: Some(vec![NodeId(1), NodeId(4)]),
                },
                crate::Reassignment {
                    topic: "u".to_owned(),
                    partition: base::Partition(0),
                    target: None,
                },
            ],
            keep_factor: true,
        },
        Command::Arrived {
            groups: vec![(base::GroupId(7), 300)],
        },
        Command::Reassigned {
            groups: vec![(base::GroupId(7), vec![base::Member::founder(NodeId(300))])],
        },
        Command::Renew {
            members: vec![(base::GroupId(7), base::Member::founder(NodeId(300)))],
        },
        Command::Recover {
            lost: vec![NodeId(1), NodeId(300)],
        },
        Command::GoOnAlone {
            groups: vec![(base::GroupId(7), NodeId(300))],
            silent: vec![NodeId(1)],
        },
        Command::DescribeQuorum,
    ]
}

fn node_info(rack: Option<&str>) -> NodeInfo {
    NodeInfo::new("h.example", 65535, rack)
}

fn refusals() -> Vec<Refusal> {
    let text = || "why".to_owned();
    vec![
        Refusal::UnknownTopic,
        Refusal::UnknownTopicId,
        Refusal::TopicExists(text()),
        Refusal::InvalidTopic(text()),
        Refusal::InvalidPartitions(text()),
        Refusal::InvalidReplicationFactor(text()),
        Refusal::InvalidReplicaAssignment(text()),
        Refusal::InvalidConfig(text()),
        Refusal::InvalidRequest(text()),
        Refusal::NotLeader { leader: None },
        Refusal::NotLeader {
            leader: Some((NodeId(3), Term(4))),
        },
        Refusal::LeaderNotAvailable,
        Refusal::FencedLeaderEpoch,
        Refusal::UnknownLeaderEpoch,
        Refusal::OffsetOutOfRange,
        Refusal::OffsetNotAvailable,
        Refusal::CorruptMessage(text()),
        Refusal::InvalidRecord(text()),
        Refusal::MessageTooLarge {
            bytes: u64::MAX,
            limit: 1,
        },
        Refusal::InvalidTimestamp(text()),
        Refusal::UnsupportedForMessageFormat(text()),
        Refusal::UnsupportedCompression(text()),
        Refusal::InvalidRequiredAcks,
        Refusal::OutOfOrderSequence(text()),
        Refusal::DuplicateSequence,
        Refusal::InvalidProducerEpoch {
            epoch: -1,
            current: i16::MAX,
        },
        Refusal::UnknownProducer,
        Refusal::NotEnoughReplicas { min: 2 },
        Refusal::NotEnoughReplicasAfterAppend { min: 3 },
        Refusal::Timeout,
        Refusal::Storage(text()),
        Refusal::NoRoomElsewhere(text()),
        Refusal::Denied,
        Refusal::NoController,
        Refusal::Busy(text()),
        Refusal::Policy(text()),
        Refusal::Unsupported(text()),
        Refusal::CoordinatorNotAvailable(text()),
        Refusal::NotCoordinator,
        Refusal::CoordinatorLoading,
        Refusal::IllegalGeneration,
        Refusal::RebalanceInProgress,
        Refusal::InconsistentGroupProtocol,
        Refusal::InvalidSessionTimeout,
        Refusal::MemberIdRequired,
        Refusal::NonEmptyGroup,
        Refusal::InvalidGroupId,
        Refusal::GroupSubscribedToTopic,
        Refusal::OffsetMetadataTooLarge,
        Refusal::InvalidCommitOffsetSize,
        Refusal::UnstableOffsetCommit,
        Refusal::UnknownMember(text()),
        Refusal::FencedInstance(text()),
        Refusal::GroupMaxSize(text()),
        Refusal::GroupIdNotFound(text()),
        Refusal::UnreleasedInstance(text()),
        Refusal::UnsupportedAssignor(text()),
        Refusal::FencedMemberEpoch(text()),
        Refusal::StaleMemberEpoch(text()),
        Refusal::InvalidRegularExpression(text()),
        Refusal::Unexpected(text()),
        Refusal::UnknownNode(text()),
        Refusal::ElectionNotNeeded(text()),
        Refusal::PreferredLeaderNotAvailable(text()),
        Refusal::EligibleLeadersNotAvailable(text()),
        Refusal::QuotaExceeded(text()),
    ]
}

fn replies() -> Vec<Reply> {
    let made = TopicCreated {
        name: "t".to_owned(),
        id: Uuid([1; 16]),
        partitions: 2,
        replicas: 3,
        groups: vec![GroupId(5), GroupId(u64::MAX)],
    };
    let refused = refusals().into_iter().map(Err);
    vec![
        Reply::TopicsCreated(std::iter::once(Ok(made)).chain(refused).collect()),
        Reply::TopicsDeleted(vec![
            Ok(("t".to_owned(), Uuid([2; 16]))),
            Err(Refusal::Timeout),
        ]),
        Reply::ProducerIds(ProducerId(-1)),
        Reply::Done,
        Reply::Each(vec![Ok(()), Err(Refusal::Timeout), Ok(())]),
        Reply::Quorum(crate::Quorum {
            leader: NodeId(2),
            term: Term(3),
            committed: base::RaftIndex(40),
            voters: vec![crate::QuorumMember {
                node: NodeId(2),
                matched: base::RaftIndex(41),
                heard: Some(base::WallMs(-1)),
                caught_up: None,
            }],
        }),
    ]
}

#[test]
fn every_command_reads_back() {
    for command in commands() {
        assert_eq!(Command::decode(&command.encode()), Ok(command));
    }
}

#[test]
fn every_reply_and_refusal_reads_back() {
    for reply in replies() {
        assert_eq!(Reply::decode(&reply.encode()).as_ref(), Ok(&reply));
        let answer = Ok(reply);
        assert_eq!(decode_answer(&encode_answer(&answer)), Ok(answer));
    }
    for refusal in refusals() {
        let answer = Err(refusal);
        assert_eq!(decode_answer(&encode_answer(&answer)), Ok(answer));
    }
}

#[test]
fn cut_off_or_longer_bytes_are_refused() {
    for command in commands() {
        let mut bytes = command.encode();
        for len in 0..bytes.len() {
            assert_eq!(Command::decode(&bytes[..len]), Err(Malformed));
        }
        bytes.push(0);
        assert_eq!(Command::decode(&bytes), Err(Malformed));
    }
    for reply in replies() {
        let bytes = reply.encode();
        for len in 0..bytes.len() {
            assert_eq!(Reply::decode(&bytes[..len]), Err(Malformed));
        }
    }
}

/// A count is a promise of bytes that may not be there; nothing is reserved for it.
#[test]
fn a_huge_count_is_refused_at_once() {
    let mut w = Writer::default();
    w.byte(2);
    w.number(u64::MAX / 2);
    assert_eq!(Command::decode(&w.0), Err(Malformed));
}

proptest! {
    #[test]
    fn garbage_is_refused_or_means_something(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        if let Ok(command) = Command::decode(&bytes) {
            prop_assert_eq!(Command::decode(&command.encode()), Ok(command));
        }
        if let Ok(answer) = decode_answer(&bytes) {
            prop_assert_eq!(decode_answer(&encode_answer(&answer)), Ok(answer));
        }
    }

    #[test]
    fn a_flipped_byte_never_panics(which in 0usize..6, at in any::<usize>(), to in any::<u8>()) {
        let mut bytes = replies()[which].encode();
        let at = at % bytes.len();
        bytes[at] = to;
        let _ = Reply::decode(&bytes);
    }
}
