//! For tests: chance in the place of a frame. A reader that dreams gives random values instead
//! of reading, so every generated `decode` makes random messages without further code.

use base::Random;
use bytes::Bytes;

/// The source of a dreaming reader.
#[derive(Clone, Debug)]
pub(crate) struct Dream(pub(crate) Random);

impl Dream {
    pub(crate) fn fixed<const N: usize>(&mut self) -> [u8; N] {
        match self.0.below(4) {
            0 => [0; N],
            1 => [0xff; N],
            _ => std::array::from_fn(|_| self.0.below(256) as u8),
        }
    }

    pub(crate) fn length(&mut self) -> usize {
        match self.0.below(40) {
            0 => 600,
            _ => self.0.below(4) as usize,
        }
    }

    pub(crate) fn nullable_length(&mut self) -> Option<usize> {
        if self.0.percent(20) {
            None
        } else {
            Some(self.length())
        }
    }

    pub(crate) fn text(&mut self, length: usize) -> String {
        (0..length)
            .map(|_| char::from(b'a' + self.0.below(26) as u8))
            .collect()
    }

    pub(crate) fn slice(&mut self, length: usize) -> Bytes {
        (0..length).map(|_| self.0.below(256) as u8).collect()
    }

    pub(crate) fn tags(&mut self) -> Vec<u32> {
        (0..8).filter(|_| self.0.percent(50)).collect()
    }
}
