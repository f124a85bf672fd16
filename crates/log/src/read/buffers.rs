//! Memory that blocks are read into, used again and again: fresh memory costs a fault for each page
//! and zeros that are written over at once, together a fifth of a fetch from files.

use base::limits;
use bytes::Bytes;
use std::sync::{Arc, Mutex};

/// Bytes of a buffer: a block and the batch that made it full, if that is of the usual size.
const BUFFER_BYTES: usize = limits::BLOCK_BYTES as usize * 3 / 2;
/// Less than this isn't worth a buffer.
const WORTH_BYTES: usize = BUFFER_BYTES / 4;

/// The buffers that nobody uses.
#[derive(Default)]
pub(crate) struct Buffers(Mutex<Vec<Box<[u8]>>>);

/// A buffer in use, or other memory where one doesn't fit. It goes back when nobody has a part of
/// it any more.
pub(crate) struct Buffer {
    memory: Box<[u8]>,
    len: usize,
    home: Option<Arc<Buffers>>,
}

impl Buffers {
    /// Memory for so many bytes. What is in it means nothing.
    pub(crate) fn take(self: &Arc<Self>, len: usize) -> Buffer {
        if !(WORTH_BYTES..=BUFFER_BYTES).contains(&len) {
            let memory = vec![0; len].into();
            let home = None;
            return Buffer { memory, len, home };
        }
        let free = self.0.lock().expect(UNPOISONED).pop();
        Buffer {
            memory: free.unwrap_or_else(|| vec![0; BUFFER_BYTES].into()),
            len,
            home: Some(Arc::clone(self)),
        }
    }
}

impl Buffer {
    /// The bytes to fill.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        &mut self.memory[..self.len]
    }

    /// The bytes, to be shared.
    pub(crate) fn share(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.memory[..self.len]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(home) = self.home.take() else {
            return;
        };
        let mut free = home.0.lock().expect(UNPOISONED);
        if free.len() < limits::READ_BUFFER_BYTES / BUFFER_BYTES {
            free.push(std::mem::take(&mut self.memory));
        }
    }
}

const UNPOISONED: &str = "nobody panics while taking a buffer";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_once_nobody_has_a_part_of_it() {
        let buffers: Arc<Buffers> = Arc::default();
        let mut buffer = buffers.take(BUFFER_BYTES - 1);
        buffer.room().fill(7);
        let bytes = buffer.share();
        let (at, part) = (bytes.as_ptr(), bytes.slice(5..6));
        drop(bytes);
        let mut other = buffers.take(BUFFER_BYTES);
        other.room().fill(8);
        assert_ne!(other.as_ref().as_ptr(), at);
        assert_eq!(part[..], [7]);
        drop(part);
        assert_eq!(buffers.take(BUFFER_BYTES).as_ref().as_ptr(), at);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let buffers: Arc<Buffers> = Arc::default();
        let bound = limits::READ_BUFFER_BYTES / BUFFER_BYTES;
        let many: Vec<_> = (0..=bound).map(|_| buffers.take(BUFFER_BYTES)).collect();
        drop(many);
        assert_eq!(buffers.0.lock().expect("no panic").len(), bound);
        drop(buffers.take(WORTH_BYTES - 1));
        drop(buffers.take(BUFFER_BYTES + 1));
        let sizes = buffers.0.lock().expect("no panic");
        assert!(sizes.iter().all(|free| free.len() == BUFFER_BYTES));
    }
}
