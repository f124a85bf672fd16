//! The plan of a run: everything that the seed decides before the first event. How many nodes,
//! how small the limits, what the clients do, which faults come when.
//!
//! Limits are tiny most of the time, so that what is rare in production (a full file of the
//! write-ahead log, a roll, a read that finds nothing in memory) happens all the time here.

pub(crate) mod faults;
pub(crate) mod fleet;
mod groups;
pub(crate) mod ruin;

use crate::client::{admin, consumer, producer};
use crate::net::{Place, Weather};
use crate::scheduler::Micros;
use base::Random;
use faults::Fault;

/// One second.
pub(crate) const SECOND: Micros = 1_000_000;
/// Percent of runs of several nodes in which partitions move.
const MOVING_PERCENT: u64 = 40;
/// Percent of those in which nodes are cordoned too, and give up their say in the metadata.
const CORDONS_PERCENT: u64 = 60;
/// Percent of runs of several nodes in which partitions may go on without their majority.
const UNCLEAN_PERCENT: u64 = 15;
/// Percent of the other runs of several nodes in which nodes come and go.
const FLEET_PERCENT: u64 = 15;
/// Percent of runs of several nodes in which disks of more than one of them fill up together.
const FULL_PERCENT: u64 = 25;
/// Percent of the rest of runs of several nodes in which most of those who vote on metadata are lost.
const RUIN_PERCENT: u64 = 3;
/// How many times as long those who write and read rest, in runs in which little else is to be seen but
/// groups that fall quiet and wake: most runs are as busy as can be.
const RESTS: [Micros; 5] = [1, 1, 1, 1, 12];
/// How long faults come.
pub(crate) const CHAOS: Micros = 60 * SECOND;
/// How long a cluster without faults may take to converge.
pub(crate) const CONVERGENCE: Micros = 40 * SECOND;

/// How long a device takes.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    pub(crate) sync_min: Micros,
    pub(crate) sync_max: Micros,
    /// Percent of writes that are slow, and how slow at most.
    pub(crate) slow_percent: u64,
    pub(crate) slow_max: Micros,
    /// Percent of reads that find nothing in the page cache.
    pub(crate) cold_percent: u64,
}

/// The plan.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) nodes: usize,
    pub(crate) wal_file_bytes: u64,
    pub(crate) wal_files_max: usize,
    pub(crate) open_files: usize,
    pub(crate) direct_batch_bytes: u32,
    pub(crate) segment_bytes: u32,
    /// Size of a segment of group 0.
    pub(crate) metadata_segment_bytes: u32,
    /// Bytes a second that are read from files for followers.
    pub(crate) catch_up_bytes_per_second: u64,
    /// Bytes past their retention that are kept for replicas that are away.
    pub(crate) removal_held_bytes: u64,
    /// When leaders go back by themselves.
    pub(crate) balancing: Option<shard::Balancing>,
    /// How often everything on disk is looked at.
    pub(crate) checking: Option<shard::Checking>,
    pub(crate) hot_tail_bytes: u64,
    /// Calls that may wait for a shard.
    pub(crate) calls_max: usize,
    pub(crate) requests_in_flight_bytes: u64,
    pub(crate) weather: Weather,
    pub(crate) device: Device,
    pub(crate) admin: admin::Habits,
    pub(crate) producers: Vec<producer::Habits>,
    pub(crate) consumers: Vec<consumer::Habits>,
    pub(crate) groups: groups::Groups,
    /// The one node whose synced data may be destroyed.
    pub(crate) damaged: Option<Place>,
    pub(crate) faults: Vec<(Micros, Fault)>,
    /// Nodes that come and go.
    pub(crate) fleet: Vec<(Micros, Place, fleet::Change)>,
    /// Most of those who vote on metadata are lost.
    pub(crate) ruin: Option<ruin::Ruin>,
    /// The power of all goes once more when everything has converged.
    pub(crate) last_power_loss: bool,
    /// When everything has converged, producers are forgotten after a moment.
    pub(crate) expiring: bool,
}

fn one_of<T: Copy>(random: &mut Random, choices: &[T]) -> T {
    choices[random.below(choices.len() as u64) as usize]
}

impl Plan {
    /// The plan of a seed.
    pub(crate) fn new(seed: u64) -> Plan {
        let mut random = Random::new(seed);
        let random = &mut random;
        let kinds = Kinds::draw(seed, one_of(random, &[3, 3, 3, 3, 3, 3, 3, 5, 5, 1]));
        let nodes = kinds.nodes;
        let direct_batch_bytes = one_of(random, &[1_500, 4_096, 16_384]);
        let mut plan = Plan {
            seed,
            nodes,
            wal_file_bytes: one_of(random, &[32, 64, 128, 1024]) * 1024,
            wal_files_max: random.between(2, 4) as usize,
            open_files: one_of(random, &[4, 8, 64]),
            direct_batch_bytes,
            segment_bytes: one_of(random, &[4_096, 16_384, 65_536, 1 << 20]),
            metadata_segment_bytes: 0,
            catch_up_bytes_per_second: 0,
            removal_held_bytes: 0,
            checking: checking(&mut Random::new(seed.rotate_left(16))),
            balancing: balancing(&mut Random::new(seed.rotate_left(32))),
            hot_tail_bytes: one_of(random, &[2_000, 20_000, 200_000]),
            calls_max: one_of(random, &[2, 1_000, 1_000]),
            requests_in_flight_bytes: one_of(random, &[30_000, 1 << 28, 1 << 28]),
            weather: Weather {
                waiting_max: waiting_max(&mut Random::new(seed.rotate_left(48))),
                ..weather(random)
            },
            device: device(random),
            admin: admin_habits(random, nodes),
            producers: producers(random, direct_batch_bytes),
            consumers: consumers(random, &mut Random::new(seed.rotate_left(24))),
            groups: groups::draw(random, nodes),
            damaged: None,
            faults: Vec::new(),
            fleet: Vec::new(),
            ruin: None,
            last_power_loss: random.percent(40),
            // Drawn apart too.
            expiring: Random::new(seed.rotate_left(24)).percent(20),
        };
        let shortening = &mut Random::new(seed.rotate_left(48));
        plan.metadata_segment_bytes = one_of(shortening, &[100, 400, 1_500, 1 << 20]);
        if nodes >= 3 && random.percent(40) && kinds.is_plain() {
            plan.damaged = Some(random.below(nodes as u64) as usize);
        }
        plan.faults = faults::draw(random, nodes, plan.damaged);
        // Where replicas come anew, all of it has to be there within the time for converging, perhaps from
        // one node.
        let slow = if kinds.is_plain() { 500_000 } else { 5_000_000 };
        plan.allow(kinds);
        if nodes >= 3 && plan.metadata_segment_bytes < 1_000 {
            faults::add_absence(shortening, nodes, &mut plan.faults);
        }
        let filling = &mut Random::new(seed.rotate_left(12));
        if nodes > 1 && filling.percent(FULL_PERCENT) {
            faults::add_full_disks(filling, nodes, &mut plan.faults);
        }
        plan.catch_up_bytes_per_second = one_of(random, &[slow, 5_000_000, 1 << 30]);
        plan.removal_held_bytes = one_of(random, &[0, 0, 0, 20_000, 1 << 30]);
        plan.rest(one_of(&mut Random::new(seed.rotate_left(36)), &RESTS));
        plan
    }
}

/// What else is done in a run, each with chance of its own, so that other seeds stay what they were.
struct Kinds {
    nodes: usize,
    moving: Option<Random>,
    unclean: Option<Random>,
    changing: Option<Random>,
    ruined: Option<Random>,
}

impl Kinds {
    fn draw(seed: u64, mut nodes: usize) -> Kinds {
        let several = nodes > 1;
        let mut drawn = |random: Random, due: bool, percent, choices: &[usize]| {
            let mut random = random;
            let drawn = due && random.percent(percent);
            nodes = more_nodes(&mut random, nodes, drawn, choices);
            drawn.then_some(random)
        };
        let by = |bits| Random::new(seed.rotate_left(bits));
        let moving = drawn(Random::new(!seed), several, MOVING_PERCENT, &[3, 4, 4, 5]);
        let unclean = drawn(by(8), several, UNCLEAN_PERCENT, &[3, 4, 5, 5]);
        let rest = several && unclean.is_none();
        let changing = drawn(by(40), rest, FLEET_PERCENT, &[3, 4, 4, 5]);
        // Where moves were taken back, no metadata tells whose say a partition needs: it may wait for lost
        // nodes for ever.
        let rest = rest && changing.is_none() && moving.is_none();
        let ruined = drawn(by(56), rest, RUIN_PERCENT, &[3, 4, 5]);
        Kinds {
            nodes,
            moving,
            unclean,
            changing,
            ruined,
        }
    }

    /// A partition can't be moved to where what was destroyed isn't made good, nor are the others to be
    /// lost then.
    fn is_plain(&self) -> bool {
        let all = [&self.moving, &self.unclean, &self.changing, &self.ruined];
        all.iter().all(|kind| kind.is_none())
    }
}

/// The runs in which more is done have more nodes.
fn more_nodes(random: &mut Random, nodes: usize, wanted: bool, choices: &[usize]) -> usize {
    match wanted && nodes == 3 {
        true => one_of(random, choices),
        false => nodes,
    }
}

impl Plan {
    fn rest(&mut self, times: Micros) {
        let producers = self.producers.iter_mut().map(|habits| &mut habits.pause);
        let consumers = self.consumers.iter_mut().map(|habits| &mut habits.pause);
        producers.chain(consumers).for_each(|pause| *pause *= times);
    }

    fn allow(&mut self, kinds: Kinds) {
        let moving = kinds.moving.is_some();
        if let Some(mut random) = kinds.moving {
            self.allow_moves(&mut random);
        }
        if let Some(mut random) = kinds.changing {
            self.allow_changes(&mut random);
        }
        if let Some(mut random) = kinds.unclean {
            self.allow_losses(&mut random, moving);
        }
        if let Some(mut random) = kinds.ruined {
            self.allow_ruin(&mut random);
        }
    }

    /// Partitions move, and nodes give up their say in the metadata.
    fn allow_moves(&mut self, random: &mut Random) {
        self.admin.replicas = one_of(random, &[3, 3, 2]);
        self.admin.moves.percent = one_of(random, &[10, 25, 50]);
        self.admin.moves.back_percent = one_of(random, &[0, 15, 40]);
        if random.percent(CORDONS_PERCENT) {
            self.admin.cordons.percent = one_of(random, &[4, 10, 25]);
            self.admin.cordons.most = one_of(random, &[1, 1, 2, 3]).min(self.nodes - 1);
        }
        self.admin.moves.coordinators = self.groups.partitions;
        self.admin.moves.coordinators_percent = one_of(random, &[0, 20, 50]);
    }

    /// Nodes come and go, and one disk may be lost: nothing else is.
    fn allow_changes(&mut self, random: &mut Random) {
        self.admin.replicas = 3;
        self.admin.moves.replicas_min = 3;
        // Who cordons two of four leaves two that vote on metadata, and none of them may be lost.
        self.admin.cordons.percent = 0;
        self.fleet = fleet::draw(random, self.nodes);
    }

    /// Most of those who vote on metadata are lost, and with them a majority of any partition.
    fn allow_ruin(&mut self, random: &mut Random) {
        self.admin.elections.all_may_lose = true;
        // Some are made when only lost nodes hear of it.
        self.admin.topics_max = 12;
        self.groups.members.clear();
        self.ruin = Some(ruin::draw(random));
    }

    /// Some topics may go on without their majority, and nodes are away together for long.
    fn allow_losses(&mut self, random: &mut Random, moving: bool) {
        if !moving {
            self.admin.replicas = one_of(random, &[2, 3, 3]);
        }
        self.admin.elections = admin::elections::Elections {
            all_may_lose: false,
            topics_percent: one_of(random, &[50, 100]),
            ask_percent: one_of(random, &[0, 5, 20]),
        };
        // A majority of those who vote on metadata stays.
        let most = self.nodes.min(5).div_ceil(2) - 1;
        faults::add_losses(random, self.nodes, most, &mut self.faults);
    }
}

/// Drawn apart, so that other seeds stay what they were.
fn balancing(random: &mut Random) -> Option<shard::Balancing> {
    let check = std::time::Duration::from_secs(one_of(random, &[1, 2, 5]));
    let percent = one_of(random, &[0, 0, 10, 50]);
    let balancing = shard::Balancing { check, percent };
    random.percent(60).then_some(balancing)
}

/// Drawn apart too.
fn checking(random: &mut Random) -> Option<shard::Checking> {
    let every = std::time::Duration::from_secs(one_of(random, &[2, 4, 6]));
    let bytes_per_second = one_of(random, &[2_000_000, 8_000_000, 1 << 30]);
    let checking = shard::Checking {
        every,
        bytes_per_second,
    };
    random.percent(70).then_some(checking)
}

fn weather(random: &mut Random) -> Weather {
    let delay_min = random.between(20, 300);
    Weather {
        delay_min,
        delay_max: delay_min + one_of(random, &[100, 500, 3_000]),
        late_percent: one_of(random, &[0, 10, 40]),
        twice_percent: one_of(random, &[0, 20]),
        waiting_max: u64::MAX,
    }
}

/// Drawn apart.
fn waiting_max(random: &mut Random) -> u64 {
    one_of(random, &[1_000_000, u64::MAX, u64::MAX, u64::MAX])
}

fn device(random: &mut Random) -> Device {
    Device {
        sync_min: 100,
        sync_max: one_of(random, &[500, 500, 5_000]),
        slow_percent: one_of(random, &[0, 1, 5]),
        slow_max: one_of(random, &[10_000, 100_000, 500_000]),
        cold_percent: one_of(random, &[0, 10, 80]),
    }
}

fn admin_habits(random: &mut Random, nodes: usize) -> admin::Habits {
    admin::Habits {
        pause: random.between(150_000, 600_000),
        topics_first: random.between(1, 3) as u32,
        topics_max: random.between(3, 6) as u32,
        partitions_max: random.between(1, 4),
        replicas: if nodes >= 5 {
            one_of(random, &[3, 5])
        } else {
            nodes as i16
        },
        min_in_sync: if nodes > 1 { 2 } else { 1 },
        delete_percent: one_of(random, &[0, 2, 6]),
        records_percent: one_of(random, &[0, 5, 15, 25]),
        retention: admin::Retention {
            topics_percent: one_of(random, &[0, 50, 100]),
            ms: one_of(random, &[2_000, 10_000, 3_600_000]),
            bytes: one_of(random, &[0, 30_000, 1 << 30]),
            segment_ms: one_of(random, &[1_000, 60_000]),
        },
        compaction: admin::Compaction {
            topics_percent: one_of(random, &[0, 40, 80]),
            delete_retention_ms: one_of(random, &[0, 5_000, 300_000]),
            dirty_ratio: one_of(random, &["0", "0.2", "0.5"]),
        },
        moves: admin::moves::Moves {
            percent: 0,
            back_percent: 0,
            nodes: nodes as u32,
            replicas_min: 2,
            coordinators: 1,
            coordinators_percent: 0,
        },
        elections: admin::elections::Elections {
            all_may_lose: false,
            topics_percent: 0,
            ask_percent: 0,
        },
        cordons: admin::cordons::Cordons {
            percent: 0,
            nodes: nodes as u32,
            most: 0,
        },
    }
}

fn producers(random: &mut Random, direct_batch_bytes: u32) -> Vec<producer::Habits> {
    let count = random.between(2, 4);
    let habits = |nth: u64| {
        let idempotent = nth == 0 || random.percent(60);
        producer::Habits {
            idempotent,
            acks: if idempotent {
                -1
            } else {
                one_of(random, &[-1, 1, 0])
            },
            in_flight: random.between(1, 5) as usize,
            pause: one_of(random, &[100_000, 250_000, 600_000]),
            large_percent: one_of(random, &[0, 10, 40]),
            large_bytes: direct_batch_bytes as usize,
        }
    };
    (0..count).map(habits).collect()
}

/// Which of them have sessions is drawn apart.
fn consumers(random: &mut Random, apart: &mut Random) -> Vec<consumer::Habits> {
    let count = random.between(1, 3);
    let habits = |_| consumer::Habits {
        pause: one_of(random, &[200_000, 600_000]),
        max_wait_ms: one_of(random, &[0, 100, 500]),
        min_bytes: one_of(random, &[0, 1, 1, 10_000]),
        max_bytes: one_of(random, &[200, 5_000, 100_000]),
        back_percent: one_of(random, &[0, 5, 30]),
        wrong_percent: 3,
        sessions: apart.percent(50),
    };
    (0..count).map(habits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_one_node_is_damaged_and_faults_are_plenty() {
        for seed in 0..500 {
            let plan = Plan::new(seed);
            assert!(plan.faults.len() >= 5);
            for (at, fault) in &plan.faults {
                assert!(*at < CHAOS);
                if let Fault::Rot { node, .. } | Fault::Misdirect { node } = fault {
                    assert_eq!(Some(*node), plan.damaged);
                }
            }
        }
    }
}
