//! Records that nobody would have written: replay takes them, and whoever leads afterwards serves
//! on. A log may come from another cluster, or from a version that had a bug.

use crate::command::*;
use crate::context::NoTopics;
use crate::record::Record;
use crate::record::tests::captured;
use crate::{Command, Config, Context, Groups};
use base::{Mono, Now, Uuid, WallMs};
use proptest::prelude::*;

fn now(ms: u64) -> Now {
    Now {
        mono: Mono(ms * 1000),
        wall: WallMs(ms as i64),
    }
}

/// Asks of every group that is there what a client might.
fn use_all(groups: &mut Groups) {
    let config = Config::default();
    let mut soft = groups.elected(now(0), &config);
    let names: Vec<String> = groups.groups.keys().map(|name| name.to_string()).collect();
    let mut commands = vec![
        Command::ListGroups(ListGroups::default()),
        Command::DescribeGroups {
            groups: names.clone(),
        },
        Command::ConsumerDescribe {
            groups: names.clone(),
        },
    ];
    for group in &names {
        commands.push(Command::JoinGroup(JoinGroup {
            group: group.clone(),
            member: String::new(),
            instance: Some("inst-1".to_owned()),
            client: Client::default(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 10_000,
            protocol_type: "consumer".to_owned(),
            protocols: vec![Protocol {
                name: "range".to_owned(),
                metadata: bytes::Bytes::new(),
            }],
            reason: None,
            requires_known_id: false,
            can_skip_assignment: false,
        }));
    }
    commands.push(Command::DeleteGroups { groups: names });
    let mut at_ms = 1;
    let mut caller = 0;
    for command in commands {
        for command in [command, Command::Tick, Command::Tick] {
            caller += 1;
            let ctx = Context {
                now: now(at_ms),
                config: &config,
                topics: &NoTopics,
                drawn: Uuid::from_random(caller, 1),
            };
            for record in groups.handle(&mut soft, &ctx, caller, command).records {
                groups.replay(&record.key, record.value.as_deref());
            }
            at_ms += 400_000;
        }
    }
}

proptest! {
    #[test]
    fn whatever_was_replayed_the_leader_serves_on(
        which in prop::collection::vec(
            (any::<prop::sample::Index>(), prop::option::weighted(0.1, any::<prop::sample::Index>())),
            1..60,
        ),
        edits in prop::collection::vec((any::<usize>(), any::<u8>()), 0..2),
    ) {
        let all: Vec<Record> = captured();
        let mut groups = Groups::new();
        for (key, value) in which {
            // Mostly a key with its own value, changed a little.
            let value = value.unwrap_or(key).get(&all).value.clone();
            let mut key = key.get(&all).key.to_vec();
            let mut value = value.map(|value| value.to_vec());
            for (at, byte) in &edits {
                if byte % 16 == 0 {
                    key[1] = byte / 16;
                }
                if let Some(value) = value.as_mut().filter(|value| value.len() > 2) {
                    let at = 2 + at % (value.len() - 2);
                    value[at] = *byte;
                }
            }
            groups.replay(&key, value.as_deref());
        }
        use_all(&mut groups);
    }
}
