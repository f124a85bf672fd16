//! Replicas come and go as the metadata says.

use crate::Shard;
use crate::operation::elect::Cause;
use crate::replica::{Policy, Replica, Stored};
use base::{Bug, GroupId, Mark, Member, NodeId, RaftIndex, Refusal, mark, planted};
use log::{GroupLog, Settings as LogSettings};
use meta::{Image, PartitionInfo, Topic};
use std::sync::Arc;

impl Shard {
    /// Brings group 0 to life.
    pub(crate) fn open_meta(&mut self) {
        let segment_bytes = self.settings.metadata_segment_bytes;
        let policy = Policy {
            in_sync_min: 1,
            log_append_time: false,
            delete: false,
            retention_ms: -1,
            retention_bytes: -1,
            segment_bytes,
            segment_ms: i64::MAX,
            compact: false,
            min_dirty_millionths: 0,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            delete_retention_ms: 0,
        };
        let home = self.settings.home.as_ref();
        let settings = LogSettings {
            segment_bytes,
            incarnation: match planted(Bug::JoinsAsFounder) {
                true => 0,
                false => home.map_or(0, |home| home.generation),
            },
        };
        let readable = self.take_kept_metadata();
        let founders = self.settings.voters.clone();
        self.open_group(GroupId::META, &founders, policy, settings, Cause::Lost);
        if !readable {
            let why = "the metadata in the checkpoint can't be read";
            self.suspect(GroupId::META, why);
        }
        if self.settings.alone {
            self.go_on_without_others();
        }
        self.apply_metadata();
    }

    fn open_group(
        &mut self,
        group: GroupId,
        founders: &[NodeId],
        policy: Policy,
        settings: LogSettings,
        cause: Cause,
    ) {
        if self.ended.contains(&group) {
            self.forget_ended();
        }
        let (stored, cause, made_in) = match self.stored.remove(&group) {
            Some(stored) => (stored, Cause::Lost, 0),
            None => {
                self.turn.create(group, settings);
                let new = Stored::new(GroupLog::new(group, settings));
                (new, cause, self.turn.number)
            }
        };
        if let Some(why) = &stored.suspect {
            self.suspects.insert(group);
            self.alarm(match group {
                GroupId::META => format!(
                    "the metadata on this node is damaged, and it hears of no change any more: {why}"
                ),
                _ => format!("group {group} does not vote until it is repaired: {why}"),
            });
        }
        if stored.damaged {
            self.damage.insert(group);
        }
        let node = self.settings.node;
        let mut replica = Replica::new(node, founders, policy, stored);
        replica.made_in = made_in;
        if let Some((.., peer)) = self.peer_that_leads(group, |_| true) {
            replica.behind = peer.led.behind(group).to_vec();
        } else if made_in == 0 {
            // Nobody has said yet how it stood before this process began.
            let electors = replica.group.configuration().electors();
            let others = electors.filter(|m| m.node != node).map(|m| m.node);
            replica.behind = others.collect();
        }
        self.replicas.insert(group, Box::new(replica));
        if let Some(why) = self.lost.clone() {
            self.suspect(group, &why);
        }
        self.schedule_election(group, cause);
        self.touch(group);
    }

    /// Makes this node's replicas those of the new image: opens what is new, retires what is gone.
    pub(crate) fn reconcile(&mut self, old: &Image, new: &Image) {
        if new.has_topics_of(old) {
            return;
        }
        let mut gone = Vec::new();
        for (name, topic) in old.topics.iter() {
            if new.topics.get(name).is_none_or(|t| t.id != topic.id) {
                self.retire_topic(topic);
                self.remember_deleted(topic);
                gone.push((name.clone(), topic.id));
            }
        }
        self.tell_coordinators_of(&gone);
        for (name, topic) in new.topics.iter() {
            if old.topics.get(name).is_none_or(|t| !Arc::ptr_eq(t, topic)) {
                self.open_topic(topic);
            }
        }
        self.forget_ended();
    }

    /// Forgets groups on disk whose topics were deleted while this node was down. Their ids were
    /// given out, as the image knows, and ids are never given twice; what is newer than the image
    /// stays until the image has caught up.
    pub(crate) fn retire_stored(&mut self, image: &Image, next_group: GroupId) {
        let deleted = |g: &&GroupId| **g < next_group && !image.groups.contains_key(g);
        let deleted: Vec<_> = self.stored.keys().filter(deleted).copied().collect();
        if !deleted.is_empty() {
            self.record_metadata_commit();
        }
        for group in deleted {
            self.retire(group, &Refusal::UnknownTopic);
        }
        self.forget_ended();
    }

    /// Before a group's data goes, it is made durable that the metadata which says so is committed:
    /// a restart must not read of the group as if it were there, and begin it anew.
    pub(super) fn record_metadata_commit(&mut self) {
        if let Some(mut meta) = self.replicas.remove(&GroupId::META) {
            self.record_state(&mut meta);
            self.replicas.insert(GroupId::META, meta);
        }
    }

    fn open_topic(&mut self, topic: &Topic) {
        let policy = Policy::of(&topic.settings);
        for partition in &topic.partitions {
            let Some(member) = self.member_of(partition) else {
                continue;
            };
            match self.replicas.get_mut(&partition.group) {
                Some(replica) => {
                    replica.policy = policy;
                    replica.log.roll_at(policy.segment_bytes, policy.segment_ms);
                }
                None => {
                    let segments = LogSettings {
                        segment_bytes: topic.settings.segment_bytes,
                        incarnation: member.incarnation,
                    };
                    if member.incarnation > 0 && partition.founders().contains(&member.node) {
                        mark(Mark::ReplicaReturned);
                    }
                    let founders = partition.founders();
                    self.open_group(partition.group, founders, policy, segments, Cause::Fresh);
                    if let Some(latest) = self.namesakes.latest(&topic.name)
                        && let Some(replica) = self.replicas.get_mut(&partition.group)
                    {
                        replica.producers.may_have_forgotten(latest);
                    }
                }
            }
            if topic.name == meta::names::CONSUMER_OFFSETS {
                self.host_coordinator(partition.group);
            }
        }
    }

    fn retire_topic(&mut self, topic: &Topic) {
        self.record_metadata_commit();
        for partition in &topic.partitions {
            self.moving.remove(&partition.group);
            self.retire(partition.group, &Refusal::UnknownTopic);
        }
    }

    /// The member of a partition's group that lives on this node, or is to. One that is over goes,
    /// data and all. One that is newer than the image waits until the image has caught up.
    fn member_of(&mut self, partition: &PartitionInfo) -> Option<Member> {
        let (group, node) = (partition.group, self.settings.node);
        match partition.is_moving() {
            true => self.moving.insert(group),
            false => self.moving.remove(&group),
        };
        let wanted = partition.member_on(node);
        let live = self.replicas.get(&group).map(|r| r.group.me());
        let there = live.or_else(|| Some(self.stored.get(&group)?.member(node)));
        if there.is_some_and(|member| partition.is_over(member)) {
            mark(Mark::ReplicaRemoved);
            self.record_metadata_commit();
            self.retire(group, &Refusal::NotLeader { leader: None });
            self.publish_leader_elsewhere(group);
            return wanted;
        }
        wanted.filter(|wanted| there.is_none_or(|there| there == *wanted))
    }

    /// Who leads a group that this node has no replica of any more. Its leader may have said so while there
    /// was one, and says it once.
    fn publish_leader_elsewhere(&mut self, group: GroupId) {
        if let Some((term, node, _)) = self.peer_that_leads(group, |peer| !peer.lost) {
            self.effects.leaders.push((group, term, Some(node)));
        }
    }

    /// A replica ends here, and what waits for it. Nothing of it that is still under way may be
    /// taken for news of one that this node gets of the same group later.
    fn retire(&mut self, group: GroupId, refusal: &Refusal) {
        let stored = self.stored.remove(&group).is_some();
        self.ended.insert(group);
        self.retire_coordinator(group);
        self.suspects.remove(&group);
        self.forget_damage(group);
        let Some(mut replica) = self.replicas.remove(&group) else {
            if stored {
                self.turn.remove(group);
            }
            return;
        };
        self.refuse_appends(&mut replica, refusal);
        self.refuse_deletions(&mut replica, refusal);
        self.woken.extend(replica.parked.iter());
        self.led.set(group, consensus::Led::Gone);
        self.turn.remove(group);
    }

    /// Once for all that were retired, and before one of them begins anew: what is under way is gone
    /// through from one end to the other.
    fn forget_ended(&mut self) {
        let ended = std::mem::take(&mut self.ended);
        if !ended.is_empty() {
            self.forget_under_way(&ended);
        }
    }

    /// The process is about to stop: hands the leaderships over, and takes none any more.
    pub(crate) fn drain(&mut self) {
        self.leaving = true;
        self.rouse_all();
        let groups: Vec<_> = self.replicas.keys().copied().collect();
        for group in groups {
            self.leave_group(group);
        }
    }

    /// Hands one group over to a replica that has everything: the first one in the order in which
    /// they were placed, so that the groups of a node go to different ones. Asked for again at each
    /// beat, for a transfer may come to nothing.
    pub(crate) fn leave_group(&mut self, group: GroupId) {
        let Some(replica) = self.replicas.get(&group) else {
            return;
        };
        if !replica.was_leader || !replica.group.may_propose() {
            return;
        }
        let electors: Vec<Member> = replica.group.configuration().electors().collect();
        if let Some(heir) = self.best_heir(replica, &electors) {
            self.hand_over(group, heir);
        }
    }

    /// The node among those of `heirs` that is heard, goes along and has most of the log; of several
    /// the first.
    pub(crate) fn best_heir(&self, replica: &Replica, heirs: &[Member]) -> Option<NodeId> {
        let progress = replica.group.progress();
        let has = |member: &&Member| {
            let found = progress.iter().find(|p| p.member == **member);
            let matched = found.map_or(RaftIndex(0), |p| p.matched);
            (matched, self.has_room(member.node))
        };
        let takes = |m: &&Member| self.hears(m.node) && !replica.aside.contains(m);
        let heirs = heirs.iter().rev().filter(takes);
        heirs.max_by_key(has).map(|member| member.node)
    }

    /// True once the process is about to stop.
    pub fn is_leaving(&self) -> bool {
        self.leaving
    }
}
