//! A member by KIP-848's protocol, told by a node what to hold.

use super::{node, soon};
use crate::client::Cluster;
use crate::client::member::{Heard, Member, Wish};
use base::Uuid;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use wire_kafka::ApiKey;
use wire_kafka::messages::consumer_group_describe_response as describe;
use wire_kafka::messages::consumer_group_heartbeat_response::{
    Assignment, ConsumerGroupHeartbeatResponse, TopicPartitions,
};

const TOPIC: Uuid = Uuid([7; 16]);
const FENCED: i16 = 110;
const UNRELEASED: i16 = 111;

/// What a member is told: its epoch, and what it may hold if that is said.
fn told(epoch: i32, partitions: Option<&[i32]>) -> ConsumerGroupHeartbeatResponse {
    let part = |partitions: &[i32]| TopicPartitions {
        topic_id: TOPIC,
        partitions: partitions.to_vec(),
    };
    ConsumerGroupHeartbeatResponse {
        member_id: Some("m".into()),
        member_epoch: epoch,
        // It is always time for the next heartbeat.
        heartbeat_interval_ms: 0,
        assignment: partitions.map(|partitions| Assignment {
            topic_partitions: vec![part(partitions)],
        }),
        ..Default::default()
    }
}

fn refused(error_code: i16) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse {
        error_code,
        ..Default::default()
    }
}

fn start(
    beats: &[ConsumerGroupHeartbeatResponse],
    instance: Option<&str>,
) -> (Cluster, Member, Arc<Mutex<node::Script>>) {
    let (address, script) = node::start(node::Script {
        spoken: vec![
            (ApiKey::ApiVersions, 4),
            (ApiKey::ConsumerGroupDescribe, 1),
            (ApiKey::ConsumerGroupHeartbeat, 1),
            (ApiKey::FindCoordinator, 0),
        ],
        beats: beats.to_vec(),
        ..node::Script::default()
    });
    let wish = Wish {
        group: "g".into(),
        topic: "t".into(),
        instance: instance.map(str::to_owned),
    };
    let cluster = Cluster::new(&address).expect("an address");
    (cluster, Member::consumer(wish), script)
}

/// Of the heartbeats that the node saw: who sent them, in which epoch, holding what.
fn heard(script: &Mutex<node::Script>) -> Vec<(String, i32, Vec<i32>)> {
    let script = script.lock().expect("no panic");
    let beat = script.heard.iter().map(|beat| {
        let held = beat.topic_partitions.iter().flatten();
        let held = held.flat_map(|part| part.partitions.clone());
        (beat.member_id.clone(), beat.member_epoch, held.collect())
    });
    beat.collect()
}

#[test]
fn a_member_gives_up_what_it_is_told_to_and_joins_anew_when_it_is_fenced() {
    let beats = [
        told(1, Some(&[0, 1, 2])),
        told(1, None),
        told(1, Some(&[0])),
        told(2, None),
        refused(FENCED),
        told(3, Some(&[])),
        told(4, Some(&[1])),
        told(-1, None),
    ];
    let (mut cluster, mut member, script) = start(&beats, None);
    let given = |partitions: &[i32]| Heard::Given(partitions.iter().copied().collect());
    let first = member.join(&mut cluster, soon()).expect("let in");
    assert_eq!(first, BTreeSet::from([0, 1, 2]));
    let mut beat = || member.heartbeat(&mut cluster, soon()).expect("answered");
    assert_eq!(beat(), Heard::Nothing);
    assert_eq!(beat(), given(&[0]));
    assert_eq!(beat(), Heard::Nothing);
    assert_eq!(beat(), Heard::Outdated);
    let again = member.join(&mut cluster, soon()).expect("let in");
    assert_eq!(again, BTreeSet::new());
    let later = member.heartbeat(&mut cluster, soon()).expect("answered");
    assert_eq!(later, given(&[1]));
    member.leave(&mut cluster, soon()).expect("it may");
    let beats = heard(&script);
    let beats: Vec<_> = beats.iter().map(|(m, e, h)| (&**m, *e, &**h)).collect();
    let expected: [(&str, i32, &[i32]); 8] = [
        ("", 0, &[]),
        ("m", 1, &[0, 1, 2]),
        ("m", 1, &[0, 1, 2]),
        ("m", 1, &[0]),
        ("m", 2, &[0]),
        ("m", 0, &[]),
        ("m", 3, &[]),
        ("m", -1, &[]),
    ];
    assert_eq!(beats, expected);
}

#[test]
fn a_static_member_is_away_when_it_leaves_and_says_who_has_its_name() {
    let beats = [told(1, Some(&[0])), told(-2, None), refused(UNRELEASED)];
    let (mut cluster, mut member, script) = start(&beats, Some("desk"));
    member.join(&mut cluster, soon()).expect("let in");
    member.leave(&mut cluster, soon()).expect("it may");
    assert_eq!(heard(&script)[1].1, -2);
    let seen = script.lock().expect("no panic").heard.clone();
    let named = |beat: &&str| *beat == "desk";
    let names = seen.iter().filter_map(|beat| beat.instance_id.as_deref());
    assert_eq!(names.filter(named).count(), 2);
    let refused = member.join(&mut cluster, soon()).expect_err("it is taken");
    assert!(
        refused.to_string().contains("UNRELEASED_INSTANCE_ID"),
        "{refused}"
    );
}

#[test]
fn a_member_is_settled_once_it_holds_what_it_is_meant_to() {
    let beats = [
        told(2, Some(&[])),
        told(2, None),
        told(2, Some(&[1])),
        told(2, None),
    ];
    let (mut cluster, mut member, script) = start(&beats, None);
    let target = describe::TopicPartitions {
        topic_name: "t".into(),
        partitions: vec![1],
        ..Default::default()
    };
    let me = describe::Member {
        member_id: "m".into(),
        target_assignment: describe::Assignment {
            topic_partitions: vec![target],
        },
        ..Default::default()
    };
    script.lock().expect("no panic").described.groups = vec![describe::DescribedGroup {
        group_state: "Reconciling".into(),
        members: vec![me],
        ..Default::default()
    }];
    member.join(&mut cluster, soon()).expect("let in");
    let mut settled = Vec::new();
    for _ in 0..3 {
        member.heartbeat(&mut cluster, soon()).expect("answered");
        settled.push(member.is_settled(&mut cluster, soon()).expect("told"));
    }
    // What it was given, it also has to say that it holds.
    assert_eq!(settled, [false, false, true]);
    script.lock().expect("no panic").described.groups[0].group_state = "Assigning".into();
    assert!(!member.is_settled(&mut cluster, soon()).expect("told"));
}
