//! What one request may ask for: more of it than any client needs is refused before it costs the
//! others their time.

use super::script;
use super::world::World;
use crate::command::*;
use crate::{Caller, Config, Reply};
use base::Refusal;
use bytes::Bytes;

/// Plays a line of the dialogues' language; whatever came is its own matter.
fn play(world: &mut World, caller: Caller, line: &str) {
    let command = script::command(&world.topics, line);
    world.ask(caller, command);
}

/// A join of somebody who offers this many protocols, the last one being what everybody offers.
fn join(group: &str, protocols: usize) -> Command {
    let name = |at: usize| match at + 1 == protocols {
        true => "range".to_owned(),
        false => format!("p{at}"),
    };
    let protocol = |at| Protocol {
        name: name(at),
        // Version 0, no topics, nothing of its own.
        metadata: Bytes::from_static(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    };
    Command::JoinGroup(JoinGroup {
        group: group.to_owned(),
        member: String::new(),
        instance: None,
        client: Client::default(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer".to_owned(),
        protocols: (0..protocols).map(protocol).collect(),
        reason: None,
        requires_known_id: false,
        can_skip_assignment: false,
    })
}

#[test]
fn a_member_offers_so_many_protocols_and_no_more() {
    let mut world = World::new(Config::default());
    play(&mut world, 1, "alive consumers id=x topics=orders");
    for (caller, group) in [(10, "classics"), (20, "consumers")] {
        let decision = world.ask(caller, join(group, 101));
        let [(_, Reply::JoinGroup(answer))] = &decision.replies[..] else {
            panic!("{decision:?}");
        };
        assert_eq!(answer.outcome, Err(Refusal::InconsistentGroupProtocol));
        assert!(decision.records.is_empty());
        let decision = world.ask(caller + 1, join(group, 100));
        assert!(!decision.records.is_empty(), "{decision:?}");
    }
}

#[test]
fn what_a_member_wants_fits_a_record() {
    let mut world = World::new(Config::default());
    let max = world.config.record_bytes_max as usize;
    let long = "t".repeat(max / 4);
    let many = vec![String::new(); max];
    let beats = [
        ("topics", Some(vec![long.clone(); 4]), None, false),
        ("many", Some(many), None, false),
        (
            "rack",
            Some(vec![long.clone(); 3]),
            Some(long.clone()),
            false,
        ),
        ("fits", Some(vec![long; 3]), None, true),
    ];
    for (caller, (member, topics, rack, fits)) in (1..).zip(beats) {
        let Command::ConsumerHeartbeat(mut beat) =
            script::command(&world.topics, &format!("alive g id={member}"))
        else {
            panic!("not a heartbeat");
        };
        (beat.topics, beat.rack) = (topics, rack);
        let decision = world.ask(caller, Command::ConsumerHeartbeat(beat));
        let [(_, Reply::ConsumerHeartbeat(answer))] = &decision.replies[..] else {
            panic!("{decision:?}");
        };
        assert_eq!(answer.is_ok(), fits, "{member}: {answer:?}");
        assert_eq!(decision.records.is_empty(), !fits, "{member}");
    }
}
