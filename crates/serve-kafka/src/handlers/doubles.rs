//! Requests that name a partition more than once. As in Kafka it is one part then: in the place where it was named
//! first, and as it was named last.

use base::{Uuid, limits};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// What a request names of a topic.
pub(crate) struct Named<P> {
    pub(crate) name: String,
    pub(crate) id: Uuid,
    pub(crate) parts: Vec<P>,
}

/// Each partition once. Neighbours of one topic share its entry; a topic without partitions has none. With too many
/// partitions for one call there is no telling how many come out, only that they are too many.
pub(crate) fn merged<P>(
    topics: impl Iterator<Item = Named<P>>,
    index: impl Fn(&P) -> i32,
) -> Vec<Named<P>> {
    let mut merged: Vec<Named<P>> = Vec::new();
    let (mut numbers, mut places) = (BTreeMap::new(), BTreeMap::new());
    for Named { name, id, parts } in topics {
        let next = numbers.len();
        let number = *numbers.entry((id, name.clone())).or_insert(next);
        for part in parts {
            // So many are refused, whatever else is named.
            if places.len() > limits::PARTS_PER_CALL_MAX {
                return merged;
            }
            match places.entry((number, index(&part))) {
                Entry::Occupied(place) => {
                    let (at, nth): (usize, usize) = *place.get();
                    merged[at].parts[nth] = part;
                }
                Entry::Vacant(free) => {
                    let is_neighbour = |last: &Named<P>| last.id == id && last.name == name;
                    if !merged.last().is_some_and(is_neighbour) {
                        let (name, parts) = (name.clone(), Vec::new());
                        merged.push(Named { name, id, parts });
                    }
                    let at = merged.len() - 1;
                    free.insert((at, merged[at].parts.len()));
                    merged[at].parts.push(part);
                }
            }
        }
    }
    merged
}
