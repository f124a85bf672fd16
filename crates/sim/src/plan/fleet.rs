//! Which nodes come and go in a run.

use super::{CHAOS, SECOND, one_of};
use crate::net::Place;
use crate::scheduler::Micros;
use base::Random;

/// What becomes of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// It isn't there at first, and joins.
    Join,
    /// Its disk is lost; it is forgotten, and an empty directory joins under its number.
    Replace,
    /// It is emptied, forgotten, and an empty directory joins under its number.
    Leave,
}

/// Draws what comes when, each for a node of its own. Of one disk at most the data is lost.
pub(super) fn draw(random: &mut Random, nodes: usize) -> Vec<(Micros, Place, Change)> {
    let mut places: Vec<Place> = (0..nodes).collect();
    let mut changes = Vec::new();
    let wanted: &[Change] = match nodes {
        3 => &[Change::Replace],
        _ => one_of(
            random,
            &[
                &[Change::Replace][..],
                &[Change::Join],
                &[Change::Leave],
                &[Change::Join, Change::Replace],
                &[Change::Join, Change::Leave],
                &[Change::Replace, Change::Leave],
            ],
        ),
    };
    for change in wanted {
        let at = random.between(3 * SECOND, CHAOS - 20 * SECOND);
        let place = match change {
            // Those that form the cluster are the first ones.
            Change::Join => places.pop(),
            _ => Some(places.remove(random.below(places.len() as u64) as usize)),
        };
        changes.push((
            at,
            place.expect("there are more nodes than changes"),
            *change,
        ));
    }
    changes.sort_by_key(|(at, ..)| *at);
    changes
}
