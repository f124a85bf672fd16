//! Reads values of the Kafka protocol from the bytes of one frame. Byte fields come out as
//! slices that share the frame's memory. Memory is bounded: every length is checked against
//! the bytes that are left before anything is reserved, and all decoded elements together
//! against a budget that follows from the frame's size.

use crate::error::WireError;
use crate::records::Records;
use base::{Uuid, varint};
use bytes::Bytes;

/// What decoded elements may take in memory however small their frame is.
pub const DECODED_BYTES_FLOOR: usize = 16 * 1024 * 1024;
/// What decoded elements may take beyond that, for each byte of the frame.
pub const DECODED_BYTES_PER_BYTE: usize = 4;

/// The longest text, as in Kafka, whose compact lengths could say more.
const TEXT_BYTES_MAX: usize = 0x7fff;

/// A place in a frame.
#[derive(Clone, Debug)]
pub struct Reader {
    bytes: Bytes,
    pos: usize,
    end: usize,
    budget: usize,
    #[cfg(test)]
    pub(crate) dream: Option<crate::dream::Dream>,
}

impl Reader {
    /// A reader at the start of `bytes`.
    pub fn new(bytes: Bytes) -> Reader {
        let end = bytes.len();
        let budget = DECODED_BYTES_FLOOR.saturating_add(end.saturating_mul(DECODED_BYTES_PER_BYTE));
        Reader {
            bytes,
            pos: 0,
            end,
            budget,
            #[cfg(test)]
            dream: None,
        }
    }

    /// Bytes that weren't read yet.
    pub fn remaining(&self) -> usize {
        self.end - self.pos
    }

    /// Moves past `count` bytes and tells where they start.
    fn advance(&mut self, count: usize) -> Result<usize, WireError> {
        let left = self.remaining();
        if count > left {
            return Err(WireError::Short {
                wanted: count,
                left,
            });
        }
        let start = self.pos;
        self.pos += count;
        Ok(start)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        #[cfg(test)]
        if let Some(dream) = &mut self.dream {
            return Ok(dream.fixed());
        }
        let start = self.advance(N)?;
        Ok(self.bytes[start..start + N]
            .try_into()
            .expect("the range has N bytes"))
    }

    /// Takes `bytes` of the memory that decoded elements may use.
    fn charge(&mut self, bytes: usize) -> Result<(), WireError> {
        self.budget = self.budget.checked_sub(bytes).ok_or(WireError::Dense)?;
        Ok(())
    }

    /// A truth value; any byte but 0 is true.
    pub fn bool(&mut self) -> Result<bool, WireError> {
        Ok(self.fixed::<1>()?[0] != 0)
    }

    /// A signed 8-bit integer.
    pub fn i8(&mut self) -> Result<i8, WireError> {
        Ok(i8::from_be_bytes(self.fixed()?))
    }

    /// A signed 16-bit integer.
    pub fn i16(&mut self) -> Result<i16, WireError> {
        Ok(i16::from_be_bytes(self.fixed()?))
    }

    /// An unsigned 16-bit integer.
    pub fn u16(&mut self) -> Result<u16, WireError> {
        Ok(u16::from_be_bytes(self.fixed()?))
    }

    /// A signed 32-bit integer.
    pub fn i32(&mut self) -> Result<i32, WireError> {
        Ok(i32::from_be_bytes(self.fixed()?))
    }

    /// An unsigned 32-bit integer.
    pub fn u32(&mut self) -> Result<u32, WireError> {
        Ok(u32::from_be_bytes(self.fixed()?))
    }

    /// A signed 64-bit integer.
    pub fn i64(&mut self) -> Result<i64, WireError> {
        Ok(i64::from_be_bytes(self.fixed()?))
    }

    /// A floating point number.
    pub fn f64(&mut self) -> Result<f64, WireError> {
        let number = f64::from_be_bytes(self.fixed()?);
        // NaN isn't equal to itself, so a dreamt message with one never equals what is read back.
        #[cfg(test)]
        let number = match self.is_dream() && number.is_nan() {
            true => 0.5,
            false => number,
        };
        Ok(number)
    }

    /// An id of 128 bits.
    pub fn uuid(&mut self) -> Result<Uuid, WireError> {
        Ok(Uuid(self.fixed()?))
    }

    /// An unsigned variable-length integer.
    pub fn uvarint(&mut self) -> Result<u32, WireError> {
        varint::read_u32(&self.bytes[..self.end], &mut self.pos).ok_or(WireError::Varint)
    }

    /// A length, or `None` for null. `short` lengths have 16 bits where they aren't compact.
    fn nullable_length(&mut self, flexible: bool, short: bool) -> Result<Option<usize>, WireError> {
        #[cfg(test)]
        if let Some(dream) = &mut self.dream {
            return Ok(dream.nullable_length());
        }
        let length = match (flexible, short) {
            // As in Kafka, which counts in 32 bits.
            (true, _) => (self.uvarint()? as i32).wrapping_sub(1),
            (false, true) => i32::from(self.i16()?),
            (false, false) => self.i32()?,
        };
        // Kafka takes every negative length for null.
        Ok(usize::try_from(length).ok())
    }

    fn length(&mut self, flexible: bool, short: bool) -> Result<usize, WireError> {
        #[cfg(test)]
        if let Some(dream) = &mut self.dream {
            return Ok(dream.length());
        }
        self.nullable_length(flexible, short)?
            .ok_or(WireError::Null)
    }

    fn text(&mut self, length: usize) -> Result<String, WireError> {
        #[cfg(test)]
        if let Some(dream) = &mut self.dream {
            return Ok(dream.text(length));
        }
        if length > TEXT_BYTES_MAX {
            return Err(WireError::Long { length });
        }
        let start = self.advance(length)?;
        self.charge(length)?;
        let text = String::from_utf8_lossy(&self.bytes[start..start + length]);
        Ok(text.into_owned())
    }

    /// Text. What isn't UTF-8 in it becomes U+FFFD, as in Kafka.
    pub fn string(&mut self, flexible: bool) -> Result<String, WireError> {
        let length = self.length(flexible, true)?;
        self.text(length)
    }

    /// Text or null.
    pub fn nullable_string(&mut self, flexible: bool) -> Result<Option<String>, WireError> {
        let length = self.nullable_length(flexible, true)?;
        length.map(|length| self.text(length)).transpose()
    }

    fn slice(&mut self, length: usize) -> Result<Bytes, WireError> {
        #[cfg(test)]
        if let Some(dream) = &mut self.dream {
            return Ok(dream.slice(length));
        }
        let start = self.advance(length)?;
        Ok(self.bytes.slice(start..start + length))
    }

    /// Bytes, shared with the frame.
    pub fn bytes(&mut self, flexible: bool) -> Result<Bytes, WireError> {
        let length = self.length(flexible, false)?;
        self.slice(length)
    }

    /// Bytes, shared with the frame, or null.
    pub fn nullable_bytes(&mut self, flexible: bool) -> Result<Option<Bytes>, WireError> {
        let length = self.nullable_length(flexible, false)?;
        length.map(|length| self.slice(length)).transpose()
    }

    /// Record batches, shared with the frame.
    pub fn records(&mut self, flexible: bool) -> Result<Records, WireError> {
        self.bytes(flexible).map(Records::from)
    }

    /// Record batches, shared with the frame, or null.
    pub fn nullable_records(&mut self, flexible: bool) -> Result<Option<Records>, WireError> {
        Ok(self.nullable_bytes(flexible)?.map(Records::from))
    }

    fn elements<T>(
        &mut self,
        count: usize,
        mut element: impl FnMut(&mut Reader) -> Result<T, WireError>,
    ) -> Result<Vec<T>, WireError> {
        #[cfg(test)]
        let count = if self.is_dream() { count.min(3) } else { count };
        // Every element takes a byte at least, so a count past the frame's end is refused here.
        if count > self.remaining() && !self.is_dream() {
            return Err(WireError::Short {
                wanted: count,
                left: self.remaining(),
            });
        }
        self.charge(count.saturating_mul(size_of::<T>()))?;
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(elements)
    }

    /// An array.
    pub fn array<T>(
        &mut self,
        flexible: bool,
        element: impl FnMut(&mut Reader) -> Result<T, WireError>,
    ) -> Result<Vec<T>, WireError> {
        let count = self.length(flexible, false)?;
        self.elements(count, element)
    }

    /// An array or null.
    pub fn nullable_array<T>(
        &mut self,
        flexible: bool,
        element: impl FnMut(&mut Reader) -> Result<T, WireError>,
    ) -> Result<Option<Vec<T>>, WireError> {
        let count = self.nullable_length(flexible, false)?;
        count.map(|count| self.elements(count, element)).transpose()
    }

    /// A struct or null.
    pub fn nullable_struct<T>(
        &mut self,
        read: impl FnOnce(&mut Reader) -> Result<T, WireError>,
    ) -> Result<Option<T>, WireError> {
        if self.i8()? < 0 {
            Ok(None)
        } else {
            read(self).map(Some)
        }
    }

    /// The tagged fields at the end of a struct. `known` is called with each tag and a reader
    /// that ends where the field ends; what it leaves unread is skipped, so a tag that nobody
    /// knows costs nothing.
    pub fn tags(
        &mut self,
        mut known: impl FnMut(u32, &mut Reader) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        #[cfg(test)]
        if self.is_dream() {
            let chosen = self.dream.as_mut().expect("asked before").tags();
            return chosen.into_iter().try_for_each(|tag| known(tag, self));
        }
        for _ in 0..self.uvarint()? {
            let tag = self.uvarint()?;
            let size = self.uvarint()? as usize;
            let start = self.advance(size)?;
            let (next, end) = (self.pos, self.end);
            (self.pos, self.end) = (start, next);
            known(tag, self)?;
            (self.pos, self.end) = (next, end);
        }
        Ok(())
    }

    /// Tagged fields where none is known.
    pub fn skip_tags(&mut self) -> Result<(), WireError> {
        self.tags(|_, _| Ok(()))
    }

    #[cfg(test)]
    fn is_dream(&self) -> bool {
        self.dream.is_some()
    }

    #[cfg(not(test))]
    fn is_dream(&self) -> bool {
        false
    }
}
