//! A simulated node: a disk that outlives its processes, and a process made of the same parts as
//! the server's: shard, storage, broker. The world moves it, one step of one of its threads at a
//! time.

pub(crate) mod inbox;
pub(crate) mod process;

use crate::disk::SimDisk;
use crate::net::Place;
use crate::plan::Plan;
use crate::plan::faults::Crash;
use crate::plan::fleet::Change;
use crate::scheduler::Micros;
use base::{Mono, Now, Random, Uuid, WallMs};
use meta::Home;
use process::Process;

/// Wall time at the start of a run, in ms.
pub(crate) const WALL_START: i64 = 1_700_000_000_000;

/// A node.
pub(crate) struct Node {
    pub(crate) disk: SimDisk,
    pub(crate) random: Random,
    /// Processes started so far; events of an older one are void.
    pub(crate) life: u64,
    pub(crate) process: Option<Process>,
    /// Gets no time until then.
    pub(crate) paused_until: Option<Micros>,
    /// The wall clock is off by so many ms.
    pub(crate) wall_skew: i64,
    /// Clients don't reach it until then.
    pub(crate) unreachable_until: Micros,
    /// What happens when the disk's fuse is out, and for how long the node is down then.
    pub(crate) fuse: Option<(Crash, Micros)>,
    /// The next start is stopped in the middle: how, after how many operations, for how long.
    pub(crate) fuse_at_start: Option<(Crash, u32, Micros)>,
    /// The device is slow until then.
    pub(crate) slow_until: Micros,
    /// Bits to flip when it is down.
    pub(crate) rot_when_down: Vec<(crate::plan::faults::Where, u32)>,
    /// Where it lives, and in which directory.
    pub(crate) home: Home,
    /// Directories that it had before this one.
    pub(crate) directories: u64,
    /// It is not of the cluster now: nobody starts it.
    pub(crate) out: bool,
    /// It refused to start because its data is destroyed: it stays away.
    pub(crate) given_up: Option<String>,
}

impl Node {
    pub(crate) fn new(plan: &Plan, place: Place, random: &mut Random) -> Node {
        let disk = SimDisk::new(random.fork());
        disk.set_cold_percent(plan.device.cold_percent);
        let joins = |(_, later, change): &(Micros, Place, Change)| {
            *later == place && *change == Change::Join
        };
        Node {
            home: Home {
                address: format!("node-{place}:9192"),
                directory: Uuid::from_random(plan.seed, place as u64 + 2),
                release: "sim".to_string(),
                generation: 0,
            },
            directories: 0,
            out: plan.fleet.iter().any(joins),
            disk,
            random: random.fork(),
            life: 0,
            process: None,
            paused_until: None,
            wall_skew: random.between(0, 40) as i64 - 20,
            unreachable_until: 0,
            fuse: None,
            fuse_at_start: None,
            slow_until: 0,
            rot_when_down: Vec::new(),
            given_up: None,
        }
    }

    /// Its disk is lost, and another one is in its place. The node is out until it is taken in again.
    pub(crate) fn erase(&mut self, plan: &Plan, directory: Uuid) {
        self.disk = SimDisk::new(self.random.fork());
        self.disk.set_cold_percent(plan.device.cold_percent);
        self.home.directory = directory;
        self.out = true;
        (self.fuse, self.fuse_at_start) = (None, None);
    }

    /// The time as this node's clocks show it.
    pub(crate) fn now(&self, now: Micros) -> Now {
        let wall = WALL_START + (now / 1_000) as i64 + self.wall_skew;
        Now {
            mono: Mono(now + 1_000_000),
            wall: WallMs(wall),
        }
    }

    /// True if its coordinators have known their groups since then. One that is still loading
    /// answers a heartbeat as if all were well, as in Kafka, and knows nothing.
    pub(crate) fn coordinates_since(&self, then: Micros) -> bool {
        let process = self.process.as_ref();
        let since = process.and_then(|process| process.shard.coordinates_since());
        since.is_some_and(|since| since <= self.now(then).mono)
    }

    /// How long the next write takes.
    pub(crate) fn write_takes(&mut self, plan: &Plan, now: Micros) -> Micros {
        let device = &plan.device;
        let slow = now < self.slow_until || self.random.percent(device.slow_percent);
        if slow {
            return self.random.between(10_000, device.slow_max.max(200_000));
        }
        self.random.between(device.sync_min, device.sync_max)
    }
}
