//! The last offset of each key, in bounded memory: 24 bytes a slot, and no key is kept itself.
//!
//! Two keys are taken for the same if 128 bits of their hash are. That doesn't happen by chance
//! before there are about 2^64 of them.

use base::Offset;
use std::hash::{DefaultHasher, Hasher};

/// A slot without a key.
const EMPTY: Slot = Slot {
    hash: (0, 0),
    last: Offset(-1),
};
/// Slots of a map that has just been made.
const SLOTS_MIN: usize = 256;

#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: (u64, u64),
    last: Offset,
}

/// The map.
#[derive(Debug)]
pub(super) struct Keys {
    /// A power of two; at most three in four are taken.
    slots: Vec<Slot>,
    taken: usize,
    most: usize,
}

impl Keys {
    /// An empty map for `most` keys or a few more.
    pub(super) fn new(most: usize) -> Keys {
        Keys {
            slots: Vec::new(),
            taken: 0,
            most,
        }
    }

    /// True if as many more keys may come. The first ones always may: something must be noted, or
    /// a rewrite would never come to an end.
    pub(super) fn have_room_for(&self, more: usize) -> bool {
        self.taken == 0 || self.taken + more <= self.most
    }

    /// A record with this key lies at `offset`, after all that were noted before.
    pub(super) fn note(&mut self, key: &[u8], offset: Offset) {
        if self.taken * 4 >= self.slots.len() * 3 {
            self.grow();
        }
        let hash = hash(key);
        let slot = self.slot_of(hash);
        if self.slots[slot].last == EMPTY.last {
            self.taken += 1;
        }
        self.slots[slot] = Slot { hash, last: offset };
    }

    /// The last offset of a key that was noted.
    pub(super) fn last(&self, key: &[u8]) -> Option<Offset> {
        if self.taken == 0 {
            return None;
        }
        let slot = self.slots[self.slot_of(hash(key))];
        (slot.last != EMPTY.last).then_some(slot.last)
    }

    /// The slot with this hash, or the empty one where it belongs.
    fn slot_of(&self, hash: (u64, u64)) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = hash.0 as usize & mask;
        while self.slots[at].last != EMPTY.last && self.slots[at].hash != hash {
            at = (at + 1) & mask;
        }
        at
    }

    fn grow(&mut self) {
        let slots = (self.slots.len() * 2).max(SLOTS_MIN);
        let old = std::mem::replace(&mut self.slots, vec![EMPTY; slots]);
        for slot in old.into_iter().filter(|slot| slot.last != EMPTY.last) {
            let at = self.slot_of(slot.hash);
            self.slots[at] = slot;
        }
    }
}

fn hash(key: &[u8]) -> (u64, u64) {
    let mut hasher = DefaultHasher::new();
    hasher.write(key);
    let first = hasher.finish();
    hasher.write_u8(1);
    (first, hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_offset_of_each_key_is_found_again_however_many_there_are() {
        let mut keys = Keys::new(usize::MAX);
        assert_eq!(keys.last(b""), None);
        for offset in 0..30_000i64 {
            keys.note((offset % 10_007).to_string().as_bytes(), Offset(offset));
        }
        for key in 0..10_007i64 {
            let last = (0..30_000i64).rfind(|offset| offset % 10_007 == key);
            assert_eq!(keys.last(key.to_string().as_bytes()), last.map(Offset));
        }
        assert_eq!(keys.last(b"10007"), None);
        assert_eq!(keys.taken, 10_007);
    }

    #[test]
    fn the_first_keys_always_have_room() {
        let mut keys = Keys::new(2);
        assert!(keys.have_room_for(100));
        keys.note(b"a", Offset(0));
        assert!(keys.have_room_for(1));
        assert!(!keys.have_room_for(2));
    }
}
