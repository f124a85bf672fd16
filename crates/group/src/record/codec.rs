//! The two encodings of Kafka's records: the old one with fixed lengths, and the "flexible" one
//! with varint lengths (one more than the length, 0 for nothing) and tagged fields.

use base::{Uuid, varint};

/// Appends fields.
#[derive(Debug, Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    /// Begins a value (or key) of this version.
    pub(crate) fn version(version: i16) -> Writer {
        Writer(version.to_be_bytes().to_vec())
    }

    pub(crate) fn i8(&mut self, value: i8) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn i32(&mut self, value: i32) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn uuid(&mut self, value: &Uuid) {
        self.0.extend_from_slice(&value.0);
    }

    /// Old encoding. Doors refuse strings beyond 32,767 bytes, so nothing is cut in practice.
    pub(crate) fn text(&mut self, value: &str) {
        let len = value.len().min(i16::MAX as usize);
        self.0.extend_from_slice(&(len as i16).to_be_bytes());
        self.0.extend_from_slice(&value.as_bytes()[..len]);
    }

    pub(crate) fn text_or_null(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.text(value),
            None => self.0.extend_from_slice(&(-1i16).to_be_bytes()),
        }
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) {
        self.i32(value.len() as i32);
        self.0.extend_from_slice(value);
    }

    pub(crate) fn number(&mut self, value: usize) {
        varint::write_u32(&mut self.0, value as u32);
    }

    pub(crate) fn compact_bytes(&mut self, value: &[u8]) {
        self.number(value.len() + 1);
        self.0.extend_from_slice(value);
    }

    pub(crate) fn compact_text(&mut self, value: &str) {
        self.compact_bytes(value.as_bytes());
    }

    pub(crate) fn compact_text_or_null(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.compact_text(value),
            None => self.number(0),
        }
    }

    pub(crate) fn compact_list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Writer, &T)) {
        self.number(items.len() + 1);
        for item in items {
            write(self, item);
        }
    }

    pub(crate) fn compact_numbers(&mut self, items: &[i32]) {
        self.compact_list(items, |w, item| w.i32(*item));
    }

    /// The end of a flexible structure: its tagged fields, if any.
    pub(crate) fn tags(&mut self, fields: &[(usize, Vec<u8>)]) {
        self.number(fields.len());
        for (tag, body) in fields {
            self.number(*tag);
            self.number(body.len());
            self.0.extend_from_slice(body);
        }
    }
}

/// Takes fields off a slice; `None` where the bytes don't hold what is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    pos: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, pos: 0 }
    }

    fn slice(&mut self, len: usize) -> Option<&'a [u8]> {
        let end = self.pos.checked_add(len)?;
        let slice = self.bytes.get(self.pos..end)?;
        self.pos = end;
        Some(slice)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.slice(N)?.try_into().ok()
    }

    pub(crate) fn i8(&mut self) -> Option<i8> {
        self.array().map(i8::from_be_bytes)
    }

    pub(crate) fn i16(&mut self) -> Option<i16> {
        self.array().map(i16::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    pub(crate) fn uuid(&mut self) -> Option<Uuid> {
        self.array().map(Uuid)
    }

    pub(crate) fn text_or_null(&mut self) -> Option<Option<&'a str>> {
        let len = self.i16()?;
        if len == -1 {
            return Some(None);
        }
        let bytes = self.slice(usize::try_from(len).ok()?)?;
        std::str::from_utf8(bytes).ok().map(Some)
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        self.text_or_null()?
    }

    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.i32()?).ok()?;
        self.slice(len)
    }

    pub(crate) fn number(&mut self) -> Option<usize> {
        varint::read_u32(self.bytes, &mut self.pos).map(|value| value as usize)
    }

    fn compact_bytes_or_null(&mut self) -> Option<Option<&'a [u8]>> {
        match self.number()? {
            0 => Some(None),
            len => self.slice(len - 1).map(Some),
        }
    }

    pub(crate) fn compact_bytes(&mut self) -> Option<&'a [u8]> {
        self.compact_bytes_or_null()?
    }

    pub(crate) fn compact_text_or_null(&mut self) -> Option<Option<&'a str>> {
        match self.compact_bytes_or_null()? {
            None => Some(None),
            Some(bytes) => std::str::from_utf8(bytes).ok().map(Some),
        }
    }

    pub(crate) fn compact_text(&mut self) -> Option<&'a str> {
        self.compact_text_or_null()?
    }

    /// Every item takes at least a byte, so memory stays within a constant factor of the input.
    fn items<T>(
        &mut self,
        count: usize,
        mut read: impl FnMut(&mut Reader<'a>) -> Option<T>,
    ) -> Option<Vec<T>> {
        if count > self.bytes.len() - self.pos {
            return None;
        }
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(read(self)?);
        }
        Some(items)
    }

    pub(crate) fn list<T>(
        &mut self,
        read: impl FnMut(&mut Reader<'a>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let count = usize::try_from(self.i32()?).ok()?;
        self.items(count, read)
    }

    pub(crate) fn compact_list<T>(
        &mut self,
        read: impl FnMut(&mut Reader<'a>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let count = self.number()?.checked_sub(1)?;
        self.items(count, read)
    }

    pub(crate) fn compact_numbers(&mut self) -> Option<Vec<i32>> {
        self.compact_list(Reader::i32)
    }

    /// The end of a flexible structure: `field` is shown each tagged field; those that it doesn't
    /// know were written by somebody newer and are skipped.
    pub(crate) fn tags(
        &mut self,
        mut field: impl FnMut(usize, &mut Reader<'a>) -> Option<()>,
    ) -> Option<()> {
        for _ in 0..self.number()? {
            let tag = self.number()?;
            let len = self.number()?;
            field(tag, &mut Reader::new(self.slice(len)?))?;
        }
        Some(())
    }

    /// Tagged fields of which none is known.
    pub(crate) fn no_tags(&mut self) -> Option<()> {
        self.tags(|_, _| Some(()))
    }
}
