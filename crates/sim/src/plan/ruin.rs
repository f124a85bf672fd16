//! In some runs most of those who vote on metadata lose their disks for good, at the same moment.

use super::{CHAOS, SECOND, one_of};
use crate::plan::faults::Crash;
use crate::scheduler::Micros;
use base::Random;

/// What is lost, and what the operator does about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ruin {
    pub(crate) at: Micros,
    /// For so long before that the others are cut off from those that are to be lost, which go on.
    pub(crate) apart: Micros,
    /// Of the other nodes as many percent are lost too.
    pub(crate) others_percent: u64,
    /// How long those that are left go on by themselves, until they are stopped.
    pub(crate) noticed_after: Micros,
    /// How they are stopped.
    pub(crate) stopped: Crash,
    /// The recovery is interrupted after so many operations of the disk, and done again.
    pub(crate) interrupted: Option<(Crash, u32)>,
    /// Empty directories join so long after that at most.
    pub(crate) joins_within: Micros,
}

/// Draws one.
pub(super) fn draw(random: &mut Random) -> Ruin {
    let how = &[Crash::Kill, Crash::Power];
    let operations = random.below(40) as u32;
    let interrupted = (one_of(random, how), operations);
    Ruin {
        at: random.between(8 * SECOND, CHAOS - 25 * SECOND),
        apart: match random.percent(60) {
            true => random.between(SECOND / 2, 8 * SECOND),
            false => 0,
        },
        others_percent: one_of(random, &[0, 0, 30]),
        noticed_after: random.between(0, 6 * SECOND),
        stopped: one_of(random, how),
        interrupted: random.percent(50).then_some(interrupted),
        joins_within: one_of(random, &[SECOND, 10 * SECOND]),
    }
}
