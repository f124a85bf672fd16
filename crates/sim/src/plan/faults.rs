//! Which faults come when.

use super::{CHAOS, SECOND, one_of};
use crate::net::Place;
use crate::scheduler::Micros;
use base::Random;

/// What is left when a process stops.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Crash {
    /// `kill -9`.
    Kill,
    /// The power goes.
    Power,
}

/// Who is hit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Whom {
    Node(Place),
    /// Whoever leads some partition at that moment.
    Leader,
    All,
}

/// Where bits flip.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Where {
    /// In the write-ahead log and the checkpoint.
    Log,
    /// In segments and their sidecars.
    Segments,
}

/// A fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// Processes stop and start again after a while.
    Crash {
        whom: Whom,
        how: Crash,
        down: Micros,
    },
    /// A process is asked to stop and does so after a moment.
    Drain { node: Place, down: Micros },
    /// A process stops in the middle of what it does to its disk, some operations from now.
    Fuse {
        whom: Whom,
        how: Crash,
        operations: u32,
        down: Micros,
    },
    /// Whoever comes to lead is cut off or stopped at once, for a while.
    Hunt { time: Micros },
    /// A leader is cut off for a while. Whoever then cuts off what the group didn't commit is
    /// stopped in the middle of it, or its leader is.
    Ambush { time: Micros },
    /// A process gets no time for a while.
    Pause { whom: Whom, time: Micros },
    /// Nothing goes from one node to another.
    OneWay {
        from: Place,
        to: Place,
        time: Micros,
    },
    /// A node is cut off from the others.
    Isolate { whom: Whom, time: Micros },
    /// The first `low` nodes are cut off from the rest.
    Split { low: usize, time: Micros },
    /// The session of two nodes breaks some times.
    Flap { a: Place, b: Place, times: u32 },
    /// Frames of one direction take longer.
    Slow {
        from: Place,
        to: Place,
        factor: u64,
        time: Micros,
    },
    /// Between two nodes only so many bytes a second go through.
    Narrow {
        a: Place,
        b: Place,
        bytes_per_second: u64,
        time: Micros,
    },
    /// Clients don't reach a node.
    Unreachable { node: Place, time: Micros },
    /// Clients' connections to a node break.
    HangUp { node: Place },
    /// The wall clock jumps.
    Clock { node: Place, ms: i64 },
    /// A sync fails.
    SyncError { node: Place, skip: u32 },
    /// A write fails.
    WriteError { node: Place, skip: u32 },
    /// A read fails.
    ReadError { node: Place, skip: u32 },
    /// Only so many more bytes fit for a while.
    Full {
        node: Place,
        room: u64,
        time: Micros,
    },
    /// The device is slow for a while.
    SlowDisk { node: Place, time: Micros },
    /// Bits flip: at once, or while the node is down: after its next crash, which may come now.
    Rot {
        node: Place,
        place: Where,
        bits: u32,
        down: bool,
    },
    /// A write goes astray.
    Misdirect { node: Place },
}

fn two(random: &mut Random, nodes: usize) -> (Place, Place) {
    let a = random.below(nodes as u64) as usize;
    let b = (a + 1 + random.below(nodes as u64 - 1) as usize) % nodes;
    (a, b)
}

fn some_time(random: &mut Random) -> Micros {
    let longest = one_of(random, &[300_000, 2 * SECOND, 8 * SECOND]);
    random.between(5_000, longest)
}

/// Draws the faults of a run.
pub(super) fn draw(
    random: &mut Random,
    nodes: usize,
    damaged: Option<Place>,
) -> Vec<(Micros, Fault)> {
    let count = random.between(6, 20);
    let mut faults = Vec::new();
    while (faults.len() as u64) < count {
        let at = random.between(SECOND, CHAOS - SECOND);
        let fault = if nodes > 1 && random.percent(45) {
            network(random, nodes)
        } else {
            local(random, nodes)
        };
        faults.push((at, fault));
    }
    if let Some(node) = damaged {
        for _ in 0..random.between(1, 3) {
            faults.push((
                random.between(5 * SECOND, CHAOS - SECOND),
                destroying(random, node),
            ));
        }
    }
    faults.sort_by_key(|(at, _)| *at);
    faults
}

/// One node is away for so long that the others may have given up what it lacks of the metadata.
pub(super) fn add_absence(random: &mut Random, nodes: usize, faults: &mut Vec<(Micros, Fault)>) {
    let absence = Fault::Crash {
        whom: Whom::Node(random.below(nodes as u64) as usize),
        how: one_of(random, &[Crash::Kill, Crash::Power]),
        down: random.between(10 * SECOND, 30 * SECOND),
    };
    faults.push((random.between(SECOND, CHAOS / 2), absence));
    faults.sort_by_key(|(at, _)| *at);
}

/// Some nodes are away together, long enough to be given up where that is allowed.
pub(super) fn add_losses(
    random: &mut Random,
    nodes: usize,
    most: usize,
    faults: &mut Vec<(Micros, Fault)>,
) {
    for _ in 0..random.between(1, 3) {
        let at = random.between(5 * SECOND, CHAOS - 15 * SECOND);
        let first = random.below(nodes as u64) as usize;
        for nth in 0..random.between(1, most as u64) as usize {
            let absence = Fault::Crash {
                whom: Whom::Node((first + nth) % nodes),
                how: one_of(random, &[Crash::Kill, Crash::Power]),
                down: random.between(3 * SECOND, 20 * SECOND),
            };
            faults.push((at + random.below(SECOND), absence));
        }
    }
    faults.sort_by_key(|(at, _)| *at);
}

/// Disks of several nodes fill up together, one after the other, and somebody makes room in the end.
pub(super) fn add_full_disks(random: &mut Random, nodes: usize, faults: &mut Vec<(Micros, Fault)>) {
    for _ in 0..random.between(1, 3) {
        let at = random.between(2 * SECOND, CHAOS - 20 * SECOND);
        let first = random.below(nodes as u64) as usize;
        for nth in 0..random.between(1, nodes as u64) as usize {
            let full = Fault::Full {
                node: (first + nth) % nodes,
                room: random.below(60_000),
                time: random.between(3 * SECOND, 20 * SECOND),
            };
            faults.push((at + random.below(3 * SECOND), full));
        }
    }
    faults.sort_by_key(|(at, _)| *at);
}

fn network(random: &mut Random, nodes: usize) -> Fault {
    let (a, b) = two(random, nodes);
    let time = some_time(random);
    match random.below(14) {
        12.. => Fault::Narrow {
            a,
            b,
            bytes_per_second: one_of(random, &[50_000, 200_000, 1_000_000]),
            time,
        },
        9.. => Fault::Ambush {
            time: random.between(SECOND, 3 * SECOND),
        },
        8 => Fault::Hunt { time },
        0 | 1 => Fault::OneWay {
            from: a,
            to: b,
            time,
        },
        2 => Fault::Isolate {
            whom: Whom::Node(a),
            time,
        },
        3 | 4 => Fault::Isolate {
            whom: Whom::Leader,
            time,
        },
        5 => Fault::Split {
            low: random.between(1, nodes as u64 - 1) as usize,
            time,
        },
        6 => Fault::Flap {
            a,
            b,
            times: random.between(1, 6) as u32,
        },
        _ => Fault::Slow {
            from: a,
            to: b,
            factor: one_of(random, &[5, 50, 500]),
            time,
        },
    }
}

fn local(random: &mut Random, nodes: usize) -> Fault {
    let node = random.below(nodes as u64) as usize;
    let time = some_time(random);
    let whom = one_of(
        random,
        &[Whom::Node(node), Whom::Node(node), Whom::Leader, Whom::All],
    );
    let how = one_of(random, &[Crash::Kill, Crash::Power]);
    let skip = random.below(20) as u32;
    match random.below(20) {
        0 => Fault::Drain { node, down: time },
        1..=4 => Fault::Crash {
            whom,
            how,
            down: time,
        },
        5..=8 => Fault::Fuse {
            whom,
            how,
            operations: random.below(30) as u32,
            down: time,
        },
        9 | 10 => Fault::Pause { whom, time },
        11 => Fault::Unreachable { node, time },
        12 => Fault::HangUp { node },
        13 => Fault::Clock {
            node,
            ms: one_of(random, &[-600_000, -5_000, 5_000, 600_000]),
        },
        14 | 15 => Fault::SyncError { node, skip },
        16 => Fault::WriteError { node, skip },
        17 => Fault::ReadError {
            node,
            skip: random.below(4) as u32,
        },
        18 => Fault::Full {
            node,
            room: random.below(200_000),
            time,
        },
        _ => Fault::SlowDisk { node, time },
    }
}

fn destroying(random: &mut Random, node: Place) -> Fault {
    let place = one_of(random, &[Where::Log, Where::Segments]);
    match random.below(5) {
        0 => Fault::Misdirect { node },
        _ => Fault::Rot {
            node,
            place,
            bits: random.between(1, 4) as u32,
            down: place == Where::Log || random.percent(50),
        },
    }
}
