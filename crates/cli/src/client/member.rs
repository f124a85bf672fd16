//! A member of a consumer group, by the protocol that the command line names: the classic one, in
//! which members join generation by generation and one of them shares out, or KIP-848's, in which
//! the coordinator gives and takes partitions one by one. What is done with the partitions is not
//! its business.

mod classic;
mod consumer;

use crate::client::deadline::sleep;
use crate::client::groups::{self, Place};
use crate::client::{Cluster, Code, Deadline, Trouble};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a rebalance may wait for a member.
const REBALANCE: Duration = Duration::from_secs(30);
/// Pause of a member that has nothing to read.
const IDLE: Duration = Duration::from_millis(200);

/// Which group, and what a member wants of it.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The group.
    pub group: String,
    /// The topic that it reads.
    pub topic: String,
    /// Its name, if it is to keep its place while it is away.
    pub instance: Option<String>,
}

/// What a member hears when it says that it is alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing new.
    Nothing,
    /// These are its partitions from now on. What isn't among them is somebody else's as soon as
    /// it says so the next time.
    Given(BTreeSet<i32>),
    /// The group has gone on without it: nothing is its own before it has joined again.
    Outdated,
}

/// A member.
#[derive(Debug)]
pub enum Member {
    /// By the classic protocol.
    Classic(classic::Member),
    /// By KIP-848's.
    Consumer(consumer::Member),
}

impl Member {
    /// Somebody who is about to join by the classic protocol.
    pub fn classic(wish: Wish) -> Member {
        Member::Classic(classic::Member::new(wish))
    }

    /// Somebody who is about to join by KIP-848's protocol.
    pub fn consumer(wish: Wish) -> Member {
        Member::Consumer(consumer::Member::new(wish))
    }

    /// Joins, or joins again, and gives the partitions of the topic that are its own now.
    pub fn join(
        &mut self,
        cluster: &mut Cluster,
        deadline: Deadline,
    ) -> Result<BTreeSet<i32>, Trouble> {
        match self {
            Member::Classic(member) => member.join(cluster, deadline),
            Member::Consumer(member) => member.join(cluster, deadline),
        }
    }

    /// Says that it is alive, if it is time to.
    pub fn heartbeat(
        &mut self,
        cluster: &mut Cluster,
        deadline: Deadline,
    ) -> Result<Heard, Trouble> {
        match self {
            Member::Classic(member) => member.heartbeat(cluster, deadline),
            Member::Consumer(member) => member.heartbeat(cluster, deadline),
        }
    }

    /// Commits where the partitions go on. False if the group has gone on without it.
    pub fn commit(
        &self,
        cluster: &mut Cluster,
        positions: &BTreeMap<i32, i64>,
        deadline: Deadline,
    ) -> Result<bool, Trouble> {
        let (wish, who) = match self {
            Member::Classic(member) => (member.wish(), member.identity()),
            Member::Consumer(member) => (member.wish(), member.identity()),
        };
        let place = |(partition, offset): (&i32, &i64)| -> (Place, i64) {
            ((wish.topic.clone(), *partition), *offset)
        };
        let offsets = positions.iter().map(place).collect();
        match groups::commit(cluster, &wish.group, who, &offsets, deadline) {
            Ok(()) => Ok(true),
            Err(Trouble::Refused { code, .. }) if is_outdated(code) => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    /// False while partitions are still to come or to go.
    pub fn is_settled(&self, cluster: &mut Cluster, deadline: Deadline) -> Result<bool, Trouble> {
        match self {
            // A generation is given out as a whole.
            Member::Classic(_) => Ok(true),
            Member::Consumer(member) => member.is_settled(cluster, deadline),
        }
    }

    /// Leaves, so that the others needn't wait for its silence. A static member keeps its place.
    pub fn leave(&self, cluster: &mut Cluster, deadline: Deadline) -> Result<(), Trouble> {
        match self {
            Member::Classic(member) => member.leave(cluster, deadline),
            Member::Consumer(member) => member.leave(cluster, deadline),
        }
    }

    /// Waits a moment, where there is nothing to do but to stay alive.
    pub fn idle(&self) {
        sleep(IDLE);
    }
}

/// True if a member of that generation or epoch has nothing to say any more, but may join again.
fn is_outdated(code: Code) -> bool {
    matches!(
        code,
        Code::UNKNOWN_MEMBER_ID
            | Code::REBALANCE_IN_PROGRESS
            | Code::ILLEGAL_GENERATION
            | Code::FENCED_MEMBER_EPOCH
            | Code::STALE_MEMBER_EPOCH
    )
}

fn refused(what: &str, wish: &Wish, code: Code, message: Option<String>) -> Trouble {
    Trouble::refused(format!("{what} group {}", wish.group), code, message)
}
