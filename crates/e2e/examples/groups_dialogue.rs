//! Says the same requests about groups to a broker, in every version, and prints its answers with
//! what is random in them masked: run it against two brokers and compare. The topic `differ` with
//! two partitions has to be there.

use bytes::Bytes;
use std::io::{Read, Write};
use std::net::TcpStream;
use wire_kafka::messages as m;
use wire_kafka::{Message, Reader, Request, frame};

struct Broker(TcpStream);

impl Broker {
    fn ask<R: Request>(&mut self, version: i16, body: &R) -> Option<R::Response> {
        let bytes = frame::request(version, 7, Some("differ"), body).concat();
        self.0.write_all(&bytes).ok()?;
        let mut length = [0; 4];
        self.0.read_exact(&mut length).ok()?;
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut answer).ok()?;
        let mut reader = Reader::new(Bytes::from(answer));
        frame::response_head(R::API, version, &mut reader).ok()?;
        R::Response::decode(version, &mut reader).ok()
    }
}

/// Masks ids: 36 characters of hexadecimal digits and dashes, and topic ids.
fn masked(text: &str, topic: &str) -> String {
    let text = text.replace(topic, "TOPICID");
    let mut out = String::new();
    let chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        let end = (at + 36).min(chars.len());
        let is_uuid = end - at == 36
            && chars[at..end].iter().enumerate().all(|(i, c)| match i {
                8 | 13 | 18 | 23 => *c == '-',
                _ => c.is_ascii_hexdigit(),
            });
        if is_uuid {
            out.push_str("UUID");
            at = end;
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    out
}

struct Run {
    address: String,
    broker: Broker,
    topic: String,
}

impl Run {
    fn say<R: Request>(&mut self, what: &str, body: &R) {
        self.say_in(what, R::VERSIONS, body);
    }

    fn say_in<R: Request>(&mut self, what: &str, versions: impl Iterator<Item = i16>, body: &R) {
        for version in versions {
            let answer = self.broker.ask(version, body);
            let text = match answer {
                Some(answer) => format!("{answer:?}"),
                None => {
                    self.broker = connect(&self.address);
                    "closed".to_owned()
                }
            };
            let text = masked(&text, &self.topic);
            println!("{} v{version} {what}: {text}", R::API);
        }
    }
}

fn connect(address: &str) -> Broker {
    let stream = TcpStream::connect(address).expect("a broker");
    let patience = Some(std::time::Duration::from_secs(10));
    stream.set_read_timeout(patience).expect("a time-out");
    Broker(stream)
}

fn main() {
    let address = std::env::args().nth(1).expect("an address");
    let tag = std::env::args().nth(2).unwrap_or_default();
    let mut broker = connect(&address);
    let metadata = m::metadata_request::MetadataRequest {
        topics: Some(vec![m::metadata_request::MetadataRequestTopic {
            name: Some("differ".into()),
            ..Default::default()
        }]),
        ..Default::default()
    };
    let answer = broker.ask(12, &metadata).expect("metadata");
    let id = answer.topics[0].topic_id;
    let mut run = Run {
        address,
        broker,
        topic: format!("{id:?}"),
    };
    coordinators(&mut run);
    joins(&mut run, &tag);
    stays(&mut run, &tag);
    commits(&mut run, &tag, id);
    fetches(&mut run, &tag, id);
    deletions(&mut run, &tag);
    administration(&mut run, &tag);
}

fn coordinators(run: &mut Run) {
    use m::find_coordinator_request::FindCoordinatorRequest;
    for key_type in [0, 3, -1] {
        let request = FindCoordinatorRequest {
            key: "g".into(),
            key_type,
            coordinator_keys: vec!["g".into(), "".into()],
        };
        run.say(&format!("kind {key_type}"), &request);
    }
}

fn joins(run: &mut Run, tag: &str) {
    use m::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
    let join = JoinGroupRequest {
        group_id: format!("join{tag}"),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 1_000,
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".into(),
            metadata: Bytes::from_static(&[0, 0, 0, 0, 0, 0, 255, 255, 255, 255]),
        }],
        ..Default::default()
    };
    for version in 0..=9 {
        let group_id = format!("join{tag}-{version}");
        let own = JoinGroupRequest {
            group_id: group_id.clone(),
            ..join.clone()
        };
        run.say_in("first", version..=version, &own);
        let empty = JoinGroupRequest {
            protocols: Vec::new(),
            ..own.clone()
        };
        run.say_in("no protocols", version..=version, &empty);
        let other = JoinGroupRequest {
            protocol_type: "connect".into(),
            ..own.clone()
        };
        run.say_in("another kind", version..=version, &other);
    }
    refused_joins(run, tag, &join);
}

fn refused_joins(run: &mut Run, tag: &str, join: &m::join_group_request::JoinGroupRequest) {
    use m::join_group_request::JoinGroupRequest;
    let cases = [
        (
            "empty group",
            JoinGroupRequest {
                group_id: "".into(),
                ..join.clone()
            },
        ),
        (
            "unknown member",
            JoinGroupRequest {
                member_id: "who".into(),
                ..join.clone()
            },
        ),
        (
            "short session",
            JoinGroupRequest {
                session_timeout_ms: 1,
                ..join.clone()
            },
        ),
        (
            "long session",
            JoinGroupRequest {
                session_timeout_ms: i32::MAX,
                ..join.clone()
            },
        ),
        (
            "empty kind",
            JoinGroupRequest {
                protocol_type: "".into(),
                group_id: format!("k{tag}"),
                ..join.clone()
            },
        ),
    ];
    for (what, request) in cases {
        run.say(what, &request);
    }
}

fn stays(run: &mut Run, tag: &str) {
    use m::heartbeat_request::HeartbeatRequest;
    use m::leave_group_request::{LeaveGroupRequest, MemberIdentity};
    use m::sync_group_request::SyncGroupRequest;
    for (what, group_id, member_id, instance) in [
        ("unknown group", format!("nobody{tag}"), "m", None),
        ("empty group", String::new(), "m", None),
        ("empty member", format!("join{tag}-0"), "", None),
        ("unknown member", format!("join{tag}-0"), "m", None),
        (
            "unknown instance",
            format!("join{tag}-0"),
            "m",
            Some("i".to_owned()),
        ),
    ] {
        run.say(
            what,
            &HeartbeatRequest {
                group_id: group_id.clone(),
                generation_id: 1,
                member_id: member_id.into(),
                group_instance_id: instance.clone(),
            },
        );
        let sync = SyncGroupRequest {
            group_id: group_id.clone(),
            generation_id: 1,
            member_id: member_id.into(),
            group_instance_id: instance.clone(),
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            ..Default::default()
        };
        run.say(what, &sync);
        run.say_in(
            &format!("{what}, no protocol"),
            5..=5,
            &SyncGroupRequest {
                protocol_type: None,
                ..sync
            },
        );
        run.say(
            what,
            &LeaveGroupRequest {
                group_id,
                member_id: member_id.into(),
                members: vec![MemberIdentity {
                    member_id: member_id.into(),
                    group_instance_id: instance,
                    reason: None,
                }],
            },
        );
    }
    run.say(
        "nobody leaves",
        &LeaveGroupRequest {
            group_id: format!("join{tag}-0"),
            member_id: "x".into(),
            members: Vec::new(),
        },
    );
}

fn plain_commit(tag: &str, id: base::Uuid) -> m::offset_commit_request::OffsetCommitRequest {
    use m::offset_commit_request::{
        OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    };
    let part = |index: i32, offset: i64, words: Option<String>| OffsetCommitRequestPartition {
        partition_index: index,
        committed_offset: offset,
        committed_leader_epoch: -1,
        commit_timestamp: -1,
        committed_metadata: words,
    };
    let topic = |name: &str, topic_id, partitions| OffsetCommitRequestTopic {
        name: name.into(),
        topic_id,
        partitions,
    };
    OffsetCommitRequest {
        group_id: format!("simple{tag}"),
        generation_id_or_member_epoch: -1,
        retention_time_ms: -1,
        topics: vec![topic(
            "differ",
            id,
            vec![
                part(0, 5, None),
                part(1, 6, Some("note".into())),
                part(9, 7, None),
            ],
        )],
        ..Default::default()
    }
}

fn commits(run: &mut Run, tag: &str, id: base::Uuid) {
    use m::offset_commit_request::OffsetCommitRequest;
    let plain = plain_commit(tag, id);
    run.say_in("plain", 1..=10, &plain);
    let with = |change: fn(&mut OffsetCommitRequest)| {
        let mut request = plain.clone();
        change(&mut request);
        request
    };
    run.say_in(
        "unknown topic",
        1..=10,
        &with(|r| {
            r.topics[0].name = "nope".into();
            r.topics[0].topic_id = base::Uuid([9; 16]);
        }),
    );
    run.say_in(
        "member of nothing",
        1..=10,
        &with(|r| {
            r.member_id = "m".into();
            r.generation_id_or_member_epoch = 1;
        }),
    );
    run.say_in(
        "generation of nothing",
        1..=10,
        &with(|r| {
            r.generation_id_or_member_epoch = 1;
        }),
    );
    run.say_in("empty group", 1..=10, &with(|r| r.group_id.clear()));
    run.say_in(
        "long words",
        1..=10,
        &with(|r| {
            r.topics[0].partitions[0].committed_metadata = Some("x".repeat(5000));
        }),
    );
    run.say_in("nothing", 1..=10, &with(|r| r.topics.clear()));
    run.say_in(
        "negative",
        1..=10,
        &with(|r| {
            r.topics[0].partitions[0].committed_offset = -1;
        }),
    );
}

fn fetches(run: &mut Run, tag: &str, id: base::Uuid) {
    use m::offset_fetch_request::{
        OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic,
        OffsetFetchRequestTopics,
    };
    for (what, group, topics) in [
        ("some", format!("simple{tag}"), Some(vec!["differ", "nope"])),
        ("all", format!("simple{tag}"), None),
        (
            "unknown group",
            format!("nobody{tag}"),
            Some(vec!["differ"]),
        ),
        ("unknown group, all", format!("nobody{tag}"), None),
        ("empty group", String::new(), Some(vec!["differ"])),
        ("none", format!("simple{tag}"), Some(vec![])),
    ] {
        let old = topics.clone().map(|names| {
            let topic = |name: &str| OffsetFetchRequestTopic {
                name: name.into(),
                partition_indexes: vec![0, 1, 9],
            };
            names.into_iter().map(topic).collect()
        });
        let new = topics.map(|names| {
            let topic = |name: &str| OffsetFetchRequestTopics {
                name: name.into(),
                topic_id: if name == "differ" {
                    id
                } else {
                    base::Uuid([9; 16])
                },
                partition_indexes: vec![0, 1, 9],
            };
            names.into_iter().map(topic).collect()
        });
        let all = old.is_none();
        let request = OffsetFetchRequest {
            group_id: group.clone(),
            topics: old,
            groups: vec![OffsetFetchRequestGroup {
                group_id: group,
                member_id: None,
                member_epoch: -1,
                topics: new,
            }],
            require_stable: false,
        };
        let from = if all { 2 } else { 1 };
        run.say_in(what, from..=10, &request);
    }
}

fn deletions(run: &mut Run, tag: &str) {
    use m::offset_delete_request::{
        OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
    };
    let delete = |group: String, name: &str| OffsetDeleteRequest {
        group_id: group,
        topics: vec![OffsetDeleteRequestTopic {
            name: name.into(),
            partitions: [0, 9]
                .map(|partition_index| OffsetDeleteRequestPartition { partition_index })
                .to_vec(),
        }],
    };
    run.say("offsets", &delete(format!("simple{tag}"), "differ"));
    run.say("unknown topic", &delete(format!("simple{tag}"), "nope"));
    run.say("unknown group", &delete(format!("nobody{tag}"), "differ"));
    run.say("empty group", &delete(String::new(), "differ"));
    run.say(
        "no topics",
        &OffsetDeleteRequest {
            group_id: format!("simple{tag}"),
            topics: Vec::new(),
        },
    );
}

fn administration(run: &mut Run, tag: &str) {
    use m::consumer_group_describe_request::ConsumerGroupDescribeRequest;
    use m::delete_groups_request::DeleteGroupsRequest;
    use m::describe_groups_request::DescribeGroupsRequest;
    use m::list_groups_request::ListGroupsRequest;
    let names = vec![
        format!("simple{tag}"),
        format!("nobody{tag}"),
        String::new(),
    ];
    for operations in [false, true] {
        run.say(
            &format!("operations {operations}"),
            &DescribeGroupsRequest {
                groups: names.clone(),
                include_authorized_operations: operations,
            },
        );
        run.say(
            &format!("operations {operations}"),
            &ConsumerGroupDescribeRequest {
                group_ids: names.clone(),
                include_authorized_operations: operations,
            },
        );
    }
    let filters: [(&[&str], &[&str]); 5] = [
        (&[], &[]),
        (&["empty"], &[]),
        (&["Nonsense"], &[]),
        (&[], &["CLASSIC"]),
        (&[], &["nonsense"]),
    ];
    for (states, types) in filters {
        let text = |list: &[&str]| list.iter().map(|t| (*t).to_owned()).collect();
        let request = ListGroupsRequest {
            states_filter: text(states),
            types_filter: text(types),
        };
        for version in 0..=5 {
            let Some(mut answer) = run.broker.ask(version, &request) else {
                run.broker = connect(&run.address);
                println!("ListGroups v{version} {states:?} {types:?}: closed");
                continue;
            };
            answer
                .groups
                .retain(|g| g.group_id == format!("simple{tag}"));
            println!("ListGroups v{version} {states:?} {types:?}: {answer:?}");
        }
    }
    run.say(
        "some",
        &DeleteGroupsRequest {
            groups_names: names.clone(),
        },
    );
    run.say(
        "again",
        &DeleteGroupsRequest {
            groups_names: vec![names[0].clone(), names[0].clone()],
        },
    );
}
