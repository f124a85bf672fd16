//! The last offset of each key, in bounded memory: 24 bytes a slot, and no key is kept itself.
//!
//! Two keys are taken for the same if 128 bits of their hash are, and the earlier one's records are lost then. That doesn't
//! happen by chance before there are about 2^64 of them; and not on purpose, because the hash begins with a secret of the
//! process: who writes records can't look for two keys that meet, nor for many that crowd one place of the map.

use base::Offset;
use std::hash::{DefaultHasher, Hasher};

/// A hash in two halves, and the offset after the key's last record: 0 in a slot without a key, so
/// that fresh memory is as it must be and takes none before it is used.
type Slot = [u64; 3];
/// Of four slots, three may be taken.
const TAKEN_OF_FOUR: usize = 3;
/// Bytes of a slot.
const SLOT_BYTES: usize = size_of::<Slot>();

/// The map.
pub(super) struct Keys {
    slots: Vec<Slot>,
    taken: usize,
    /// Has the secret in it.
    hasher: DefaultHasher,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({} of {})", self.taken, self.slots.len())
    }
}

impl Keys {
    /// An empty map for `records` keys, if they fit into so many bytes, and else for as many as do.
    pub(super) fn new(records: u64, bytes_max: usize, secret: [u64; 2]) -> Keys {
        let records = usize::try_from(records).unwrap_or(usize::MAX);
        let wanted = records.saturating_add(1).div_ceil(TAKEN_OF_FOUR) * 4;
        let slots = wanted.min(bytes_max / SLOT_BYTES);
        let mut hasher = DefaultHasher::new();
        secret.iter().for_each(|part| hasher.write_u64(*part));
        Keys {
            slots: vec![[0; 3]; slots],
            taken: 0,
            hasher,
        }
    }

    /// Keys that there may be.
    fn most(&self) -> usize {
        self.slots.len() / 4 * TAKEN_OF_FOUR
    }

    /// True if as many more keys may come. The first ones always may: something must be noted, or
    /// a rewrite would never come to an end.
    pub(super) fn have_room_for(&self, more: usize) -> bool {
        self.taken == 0 || self.taken + more <= self.most()
    }

    /// A record with this key lies at `offset`, after all that were noted before.
    pub(super) fn note(&mut self, key: &[u8], offset: Offset) {
        if self.taken >= self.most() {
            self.grow();
        }
        let hash = self.hash(key);
        let slot = self.slot_of(hash);
        if is_empty(&self.slots[slot]) {
            self.taken += 1;
        }
        self.slots[slot] = [hash.0, hash.1, offset.0 as u64 + 1];
    }

    /// The last offset of a key that was noted.
    pub(super) fn last(&self, key: &[u8]) -> Option<Offset> {
        if self.taken == 0 {
            return None;
        }
        let slot = self.slots[self.slot_of(self.hash(key))];
        (!is_empty(&slot)).then(|| Offset(slot[2] as i64 - 1))
    }

    fn hash(&self, key: &[u8]) -> (u64, u64) {
        let mut hasher = self.hasher.clone();
        hasher.write(key);
        let first = hasher.finish();
        hasher.write_u8(1);
        (first, hasher.finish())
    }

    /// The slot with this hash, or the empty one where it belongs.
    fn slot_of(&self, hash: (u64, u64)) -> usize {
        let slots = self.slots.len();
        // The hash as a share of all slots.
        let mut at = ((u128::from(hash.0) * slots as u128) >> 64) as usize;
        loop {
            let slot = &self.slots[at];
            if is_empty(slot) || (slot[0], slot[1]) == hash {
                return at;
            }
            at = if at + 1 == slots { 0 } else { at + 1 };
        }
    }

    /// Only one batch with more keys than there was to be room for needs it.
    fn grow(&mut self) {
        let slots = (self.slots.len() * 2).max(4);
        let old = std::mem::replace(&mut self.slots, vec![[0; 3]; slots]);
        for slot in old.into_iter().filter(|slot| !is_empty(slot)) {
            let at = self.slot_of((slot[0], slot[1]));
            self.slots[at] = slot;
        }
    }
}

fn is_empty(slot: &Slot) -> bool {
    slot[2] == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_offset_of_each_key_is_found_again_however_many_there_are() {
        let mut keys = Keys::new(20_000, 400_000, [1, 2]);
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
        assert!(
            keys.slots.len() * SLOT_BYTES <= 400_000,
            "of 640,000 wanted"
        );
    }

    /// Who knows where keys meet on one node knows nothing about another one, nor about this one after a start.
    #[test]
    fn what_a_key_hashes_to_is_known_to_nobody_without_the_secret() {
        let of = |secret| Keys::new(1, usize::MAX, secret).hash(b"key");
        let plain = {
            let mut hasher = DefaultHasher::new();
            hasher.write(b"key");
            hasher.finish()
        };
        let all = [of([0, 0]), of([0, 1]), of([1, 0]), of([2, 3])];
        for (nth, one) in all.iter().enumerate() {
            assert!(!all[..nth].contains(one));
            assert_ne!(one.0, one.1);
            assert_ne!(one.0, plain);
        }
        assert_eq!(of([2, 3]), of([2, 3]));
    }

    #[test]
    fn the_first_keys_always_have_room() {
        let mut keys = Keys::new(2, usize::MAX, [1, 2]);
        assert!(keys.have_room_for(100));
        keys.note(b"a", Offset(0));
        assert!(keys.have_room_for(2));
        assert!(!keys.have_room_for(3));
        let mut none = Keys::new(1_000, 0, [1, 2]);
        assert!(none.have_room_for(100));
        for key in 0..100u8 {
            none.note(&[key], Offset(i64::from(key)));
        }
        assert!((0..100u8).all(|key| none.last(&[key]) == Some(Offset(i64::from(key)))));
    }
}
