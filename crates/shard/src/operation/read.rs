//! Reading: plan what can be read now, or park until there is enough or it is time.

use crate::Shard;
use crate::api::{ReadAnswer, ReadPart, Reply, ReplyTo};
use crate::replica::Replica;
use base::{Batch, Bug, GroupId, Mark, Mono, Offset, Refusal, limits, mark, planted};
use std::cmp::Ordering;

/// A read, waiting or not.
pub(crate) struct Park {
    pub(crate) to: ReplyTo,
    pub(crate) parts: Vec<ReadPart>,
    pub(crate) bytes_min: u32,
    pub(crate) bytes_max: u32,
    pub(crate) deadline: Mono,
    /// Bytes that must at least be committed, in any of its groups, before it pays to plan it again.
    pub(crate) missing: u64,
}

/// What a read can get now.
struct Planned {
    answers: Vec<Result<ReadAnswer, Refusal>>,
    /// Bytes that can be had; everything in files counts as enough.
    bytes: u64,
    /// Something that the caller must learn at once.
    urgent: bool,
    /// Nobody is known to lead one of the groups; who does may be known in a moment.
    leaderless: bool,
    /// One of the groups may have records that it can't tell of yet.
    unsure: bool,
}

impl Planned {
    /// What can be had grows by what is committed and by nothing else; all other news plan a read anew.
    fn missing(&self, park: &Park) -> u64 {
        match self.unsure {
            true => 0,
            false => u64::from(park.bytes_min).saturating_sub(self.bytes),
        }
    }
}

impl Shard {
    pub(crate) fn read(&mut self, mut park: Park) {
        let planned = self.plan(&park);
        if planned.leaderless {
            park.deadline = park.deadline.min(self.now.mono.after(limits::LEADER_WAIT));
        }
        let enough = planned.urgent || planned.bytes >= u64::from(park.bytes_min);
        if enough || park.deadline <= self.now.mono {
            park.to
                .sink
                .reply(park.to.ticket, Reply::Read(planned.answers));
            return;
        }
        mark(Mark::FetchParked);
        park.missing = planned.missing(&park);
        let id = self.next_ticket;
        self.next_ticket += 1;
        for part in &park.parts {
            if let Some(replica) = self.replicas.get_mut(&part.group) {
                replica.parked.insert(id);
            }
        }
        self.parks_by_deadline.insert((park.deadline, id));
        self.parks.insert(id, park);
    }

    fn plan(&self, park: &Park) -> Planned {
        let mut planned = Planned {
            answers: Vec::with_capacity(park.parts.len()),
            bytes: 0,
            urgent: false,
            leaderless: false,
            unsure: false,
        };
        let mut room = u64::from(park.bytes_max);
        for part in &park.parts {
            let first = planned.bytes == 0;
            let answer = self.plan_part(part, room, first);
            let replica = self.replicas.get(&part.group);
            planned.unsure |= replica.is_some_and(|r| !r.knows_start());
            match &answer {
                Err(_) if replica.is_some_and(|r| r.is_leaderless()) => planned.leaderless = true,
                Err(_) => planned.urgent = true,
                Ok(answer) => {
                    planned.urgent |= answer.diverging.is_some();
                    let hot: u64 = answer.hot.iter().map(|b| b.len() as u64).sum();
                    let cold = answer
                        .cold
                        .as_ref()
                        .map_or(0, |_| u64::from(part.bytes_max).min(room));
                    planned.bytes += hot + cold.max(u64::from(answer.cold.is_some()));
                    planned.urgent |= answer.cold.is_some();
                    room = room.saturating_sub(hot + cold);
                }
            }
            planned.answers.push(answer);
        }
        planned
    }

    fn plan_part(&self, part: &ReadPart, room: u64, first: bool) -> Result<ReadAnswer, Refusal> {
        let replica = self.led_replica(part.group, part.leader_epoch)?;
        let high = readable_upto(replica);
        let end = replica.log.end_offset();
        let mut answer = ReadAnswer {
            high_watermark: high,
            last_stable: high,
            start_offset: replica.log.start_offset(),
            diverging: None,
            hot: Vec::new(),
            cold: None,
        };
        if let Some(epoch) = part.last_fetched_epoch {
            if epoch > replica.group.term().epoch() {
                // Somebody else led after this node, which only doesn't know it yet: what the caller
                // has may well be committed.
                return Err(Refusal::UnknownLeaderEpoch);
            }
            let (ours, ends) = replica.log.epoch_end(epoch);
            if ours < 0 {
                // As in Kafka: there is no place to go back to.
                return Err(Refusal::OffsetOutOfRange);
            }
            if ours < epoch || ends < part.offset {
                mark(Mark::Diverged);
                answer.diverging = Some((ours, ends));
                return Ok(answer);
            }
        }
        let gone = part.offset < answer.start_offset && !planted(Bug::FetchBelowStart);
        if gone || part.offset > end {
            return Err(Refusal::OffsetOutOfRange);
        }
        if !replica.knows_start() {
            // What is asked for may be deleted: the leader before may have said so.
            return Ok(answer);
        }
        if part.offset >= high {
            if part.offset > high {
                mark(Mark::FetchAboveHighWatermark);
            }
            return Ok(answer);
        }
        let most = u64::from(part.bytes_max).min(room);
        if most == 0 && !first {
            return Ok(answer);
        }
        let oldest_hot = replica.group.first_batch().map(|b| b.header().base_offset);
        match oldest_hot.filter(|oldest| *oldest <= part.offset) {
            Some(_) => {
                mark(Mark::HotRead);
                answer.hot = hot_batches(replica, part.offset, high, most, first);
            }
            None => {
                mark(Mark::ColdRead);
                let upto = oldest_hot.map_or(high, |oldest| high.min(oldest));
                let most = u32::try_from(most).unwrap_or(u32::MAX);
                answer.cold = Some(replica.log.plan_read(part.offset, upto, most));
            }
        }
        Ok(answer)
    }

    /// The replica, if this node leads it in the epoch that the caller expects.
    pub(crate) fn led_replica(
        &self,
        group: GroupId,
        epoch: Option<i32>,
    ) -> Result<&Replica, Refusal> {
        let replica = self
            .replicas
            .get(&group)
            .ok_or(Refusal::NotLeader { leader: None })?;
        match epoch.map(|e| e.cmp(&replica.group.term().epoch())) {
            Some(Ordering::Less) => return Err(Refusal::FencedLeaderEpoch),
            Some(Ordering::Greater) => return Err(Refusal::UnknownLeaderEpoch),
            _ => {}
        }
        if !replica.group.is_leader() {
            return Err(Refusal::NotLeader {
                leader: replica.leader(),
            });
        }
        Ok(replica)
    }

    /// The high watermark of a group moved, from there: wakes the reads that may have enough now. To plan
    /// them at each commit would gather all that they have waited for so far, again and again.
    pub(crate) fn count_for_reads(&mut self, group: GroupId, from: Offset) {
        let Some(replica) = self.replicas.get(&group) else {
            return;
        };
        if replica.parked.is_empty() {
            return;
        }
        let first = replica.group.first_batch().map(|b| b.header().base_offset);
        let in_memory = first.is_some_and(|first| first <= from);
        let news = replica.group.batches_from(from);
        let news = news.take_while(|b| b.header().next_offset() <= replica.high.1);
        let bytes: u64 = news.map(|batch| batch.len() as u64).sum();
        for id in &replica.parked {
            let Some(park) = self.parks.get_mut(id) else {
                continue;
            };
            park.missing = park.missing.saturating_sub(bytes);
            if park.missing == 0 || !in_memory {
                self.woken.insert(*id);
            }
        }
    }

    /// Looks again at the reads whose partitions got news.
    pub(crate) fn answer_woken_reads(&mut self) {
        for id in std::mem::take(&mut self.woken) {
            let Some(park) = self.parks.get(&id) else {
                continue;
            };
            let planned = self.plan(park);
            let missing = planned.missing(park);
            self.stats.reads_planned_again += 1;
            if planned.urgent || planned.bytes >= u64::from(park.bytes_min) {
                self.unpark(id, planned.answers);
                continue;
            }
            if planned.leaderless {
                self.hurry(id);
            }
            if let Some(park) = self.parks.get_mut(&id) {
                park.missing = missing;
            }
        }
    }

    /// A parked read waits for a leader only so long.
    fn hurry(&mut self, id: u64) {
        let soon = self.now.mono.after(limits::LEADER_WAIT);
        let Some(park) = self.parks.get_mut(&id).filter(|park| park.deadline > soon) else {
            return;
        };
        self.parks_by_deadline.remove(&(park.deadline, id));
        park.deadline = soon;
        self.parks_by_deadline.insert((soon, id));
    }

    /// Answers the reads whose time is up with what there is.
    pub(crate) fn expire_reads(&mut self) {
        while let Some((deadline, id)) = self.parks_by_deadline.first().copied() {
            if deadline > self.now.mono {
                break;
            }
            let planned = self.plan(&self.parks[&id]);
            self.unpark(id, planned.answers);
        }
    }

    /// Gives up reads for which nobody waits any more; a beat looks at some of them, in their order.
    pub(crate) fn review_parks(&mut self) {
        let most = limits::FETCHES_REVIEWED_AT_ONCE;
        let parks = self.parks.range(self.next_reviewed..).take(most);
        let reviewed: Vec<_> = parks.map(|(id, p)| (*id, p.to.sink.is_gone())).collect();
        let last = reviewed.last().filter(|_| reviewed.len() == most);
        self.next_reviewed = last.map_or(0, |(id, _)| id + 1);
        for (id, _) in reviewed.into_iter().filter(|(_, gone)| *gone) {
            self.take_park(id);
        }
    }

    fn unpark(&mut self, id: u64, answers: Vec<Result<ReadAnswer, Refusal>>) {
        let park = self.take_park(id);
        park.to.sink.reply(park.to.ticket, Reply::Read(answers));
    }

    fn take_park(&mut self, id: u64) -> Park {
        let park = self.parks.remove(&id).expect("the caller looked it up");
        self.parks_by_deadline.remove(&(park.deadline, id));
        for part in &park.parts {
            if let Some(replica) = self.replicas.get_mut(&part.group) {
                replica.parked.remove(&id);
            }
        }
        park
    }
}

/// Consumers see what is committed, nothing else.
fn readable_upto(replica: &Replica) -> Offset {
    if planted(Bug::ServeAboveHighWatermark) {
        return replica.log.end_offset();
    }
    replica.high.1
}

/// Whole batches from the one that holds `from`, up to `upto` and `most` bytes; the first batch
/// of a whole read goes out whatever its size.
fn hot_batches(
    replica: &Replica,
    from: Offset,
    upto: Offset,
    most: u64,
    first: bool,
) -> Vec<Batch> {
    let mut bytes = 0;
    let mut out = Vec::new();
    for batch in replica.group.batches_from(from) {
        if batch.header().next_offset() > upto {
            break;
        }
        bytes += batch.len() as u64;
        if bytes > most && !(first && out.is_empty()) {
            break;
        }
        out.push(batch.clone());
    }
    out
}
