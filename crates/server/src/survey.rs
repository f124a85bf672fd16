//! What a scrape asks of the broker: where this node's partitions stand, and how far the groups
//! that it coordinates have come. Asked anew each time; nothing is kept here.

mod lag;

pub use lag::Ages;

use crate::engine::readers::Readers;
use crate::kafka::inbox::{Inbox, Letter};
use base::GroupId;
use broker::{Broker, Principal};
use group::command::{Command, ListGroups, OffsetFetch};
use group::reply::{FetchedTopic, Listed};
use serve_http::metrics::{Family, Kind};
use shard::{ReplicaStatus, Reply, ReplyTo};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long the answers of one round may take; what isn't there by then is left out.
const PATIENCE: Duration = Duration::from_secs(1);
/// Partitions in one question, so that no turn of the shard is long because of a scrape.
const PARTITIONS_PER_CALL: usize = 500;
/// Groups whose offsets are asked for; those beyond are counted only.
const GROUPS_MAX: usize = 5000;
/// Groups in one round of questions.
const GROUPS_PER_ROUND: usize = 500;

/// Questions under way, and what came back.
struct Round {
    inbox: Arc<Inbox>,
    asked: usize,
}

impl Round {
    fn new() -> Round {
        let inbox = Arc::default();
        Round { inbox, asked: 0 }
    }

    /// Where the next answer is to go; its ticket is the number of questions before it.
    fn ask(&mut self) -> ReplyTo {
        let ticket = self.asked as u64;
        self.asked += 1;
        let sink = Arc::clone(&self.inbox) as Arc<dyn shard::ReplySink>;
        ReplyTo { sink, ticket }
    }

    /// The answers, in the order of the questions as far as they came.
    async fn answers(self) -> BTreeMap<u64, Reply> {
        let mut answers = BTreeMap::new();
        let all = async {
            loop {
                for letter in self.inbox.take() {
                    if let Letter::Reply(ticket, reply) = letter {
                        answers.insert(ticket, reply);
                    }
                }
                if answers.len() == self.asked {
                    return;
                }
                self.inbox.filled().await;
            }
        };
        // Late answers are dropped: the figures are of now.
        let _ = timeout(PATIENCE, all).await;
        answers
    }
}

/// Asks, and tells it as families.
pub async fn families(broker: &Broker, readers: &Readers, ages: &Arc<Ages>) -> Vec<Family> {
    let (replicas, all) = replicas(broker).await;
    let mut families = partitions(broker, &replicas, all);
    let (listed, offsets) = offsets(broker).await;
    families.push(left_out(listed.as_deref(), &offsets));
    let listed = listed.unwrap_or_default();
    families.push(groups(&listed));
    families.extend(lag::families(broker, readers, ages, &replicas, &listed, &offsets).await);
    families
}

/// The replicas on this node as far as they were told in time, and whether all were.
async fn replicas(broker: &Broker) -> (BTreeMap<GroupId, ReplicaStatus>, bool) {
    let image = broker.image();
    let (me, mut round) = (broker.node(), Round::new());
    let partitions = image.topics.values().flat_map(|topic| &topic.partitions);
    let here = partitions.filter(|partition| partition.replicas.contains(&me));
    let here = here.map(|partition| partition.group);
    // The metadata may be damaged, too.
    let here: Vec<GroupId> = std::iter::once(GroupId::META).chain(here).collect();
    for some in here.chunks(PARTITIONS_PER_CALL) {
        broker.replicas(some.to_vec(), round.ask());
    }
    let asked = round.asked;
    let replies = round.answers().await.into_values();
    let told: Vec<_> = replies
        .filter_map(|reply| match reply {
            Reply::Replicas(replicas) => Some(replicas),
            _ => None,
        })
        .collect();
    let all = told.len() == asked;
    let replicas = told.into_iter().flatten();
    let replicas = replicas.map(|replica| (replica.group, replica));
    (replicas.collect(), all)
}

/// What a group has committed; `None` if it wasn't told in time.
type Committed = Option<Vec<FetchedTopic>>;

/// The groups that this node coordinates, if it tells, and what the first of them have committed.
async fn offsets(broker: &Broker) -> (Option<Vec<Listed>>, Vec<Committed>) {
    let (now, principal) = (os::clock::now(), Principal::ANONYMOUS);
    let mut round = Round::new();
    broker.groups_everywhere(now, &principal, ListGroups::default(), round.ask());
    let listed = match round.answers().await.pop_first() {
        Some((_, Reply::Groups(Ok(listed)))) => listed,
        // Still loading, or too busy to tell.
        _ => return (None, Vec::new()),
    };
    let told = &listed[..listed.len().min(GROUPS_MAX)];
    let mut committed = Vec::with_capacity(told.len());
    for some in told.chunks(GROUPS_PER_ROUND) {
        let mut round = Round::new();
        for group in some {
            let fetch = OffsetFetch {
                group: group.group.clone(),
                member: None,
                member_epoch: -1,
                topics: None,
                require_stable: false,
            };
            let command = Command::OffsetFetch(fetch);
            broker.group(now, &principal, &group.group, command, round.ask());
        }
        let mut answers = round.answers().await;
        committed.extend(
            (0..some.len() as u64).map(|ticket| match answers.remove(&ticket) {
                Some(Reply::Group(Ok(group::Reply::OffsetFetch(Ok(topics))))) => Some(topics),
                _ => None,
            }),
        );
    }
    (Some(listed), committed)
}

/// Sums are told only of `all` replicas: too small a one would look as if nothing were wrong.
fn partitions(
    broker: &Broker,
    replicas: &BTreeMap<GroupId, ReplicaStatus>,
    all: bool,
) -> Vec<Family> {
    let image = broker.image();
    let gauge = |name, help| Family::empty(name, help, Kind::Gauge);
    let mut start = gauge(
        "flotilla_partition_start_offset",
        "The first record that is still there.",
    );
    let mut end = gauge(
        "flotilla_partition_high_watermark",
        "Offset after the last committed record, as this node knows it.",
    );
    let mut bytes = gauge(
        "flotilla_partition_log_bytes",
        "Bytes of this node's replica.",
    );
    let mut leads = gauge(
        "flotilla_partition_leader",
        "1 on the node that leads the partition.",
    );
    let mut in_sync = gauge(
        "flotilla_partition_in_sync_replicas",
        "Replicas that are caught up, told by the leader.",
    );
    let mut wanting = 0u64;
    let mut damaged = 0u64;
    for (group, replica) in replicas {
        damaged += u64::from(replica.suspect.is_some());
        let Some((topic, partition)) = image.groups.get(group) else {
            continue;
        };
        let index = partition.0.to_string();
        let labels = [("topic", topic.name.as_str()), ("partition", &index)];
        let leads_here = replica
            .leader
            .is_some_and(|(node, _)| node == broker.node());
        start.push(&labels, replica.start_offset.0);
        end.push(&labels, replica.high_watermark.0);
        bytes.push(&labels, replica.log_bytes);
        leads.push(&labels, leads_here);
        if leads_here {
            let all = topic
                .partitions
                .get(partition.0 as usize)
                .map_or(0, |p| p.replicas.len());
            in_sync.push(&labels, replica.in_sync.len());
            wanting += u64::from(replica.in_sync.len() < all);
        }
    }
    let mut under_replicated = gauge(
        "flotilla_under_replicated_partitions",
        "Partitions led here of which a replica isn't caught up.",
    );
    let mut suspect = gauge(
        "flotilla_damaged_replicas",
        "Replicas on this node that don't vote because their data is damaged.",
    );
    if all {
        under_replicated.push(&[], wanting);
        suspect.push(&[], damaged);
    }
    vec![start, end, bytes, leads, in_sync, under_replicated, suspect]
}

fn groups(listed: &[Listed]) -> Family {
    let mut states: BTreeMap<&str, u64> = BTreeMap::new();
    for group in listed {
        *states.entry(group.state).or_default() += 1;
    }
    let mut count = Family::empty(
        "flotilla_groups",
        "Consumer groups that this node coordinates, by state.",
        Kind::Gauge,
    );
    for (state, groups) in states {
        count.push(&[("state", state)], groups);
    }
    count
}

/// An operator who looks for a group's lag in vain is to see why. How many groups there are isn't
/// always known.
fn left_out(listed: Option<&[Listed]>, offsets: &[Committed]) -> Family {
    let mut count = Family::empty(
        "flotilla_groups_left_out",
        "Consumer groups whose offsets and lag aren't told, because there are too many groups or the answer didn't come in time.",
        Kind::Gauge,
    );
    if let Some(listed) = listed {
        let late = offsets.iter().filter(|committed| committed.is_none());
        let many = listed.len().saturating_sub(offsets.len());
        count.push(&[("reason", "too_many")], many);
        count.push(&[("reason", "late")], late.count());
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use group::reply::GroupType;

    #[test]
    fn groups_of_which_nothing_is_told_are_counted() {
        let group = |name: &str| Listed {
            group: name.to_owned(),
            protocol_type: String::new(),
            state: "Empty",
            group_type: GroupType::Classic,
        };
        let listed = ["a", "b", "c", "d", "e", "f"].map(group);
        let told = [Some(Vec::new()), None, Some(Vec::new())];
        let values =
            |family: &Family| -> Vec<f64> { family.samples.iter().map(|s| s.value).collect() };
        assert_eq!(values(&left_out(Some(&listed), &told)), [3.0, 1.0]);
        assert_eq!(values(&left_out(Some(&listed[..3]), &told)), [0.0, 1.0]);
        assert_eq!(values(&left_out(Some(&[]), &[])), [0.0, 0.0]);
        assert!(values(&left_out(None, &[])).is_empty());
    }
}
