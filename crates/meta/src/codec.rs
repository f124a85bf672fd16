//! The compact binary form of metadata: varints, strings with their length in front. Commands
//! and replies travel between nodes in it, records are kept in it for ever. Reading never trusts
//! a length: a list grows as its items turn out to be there.

use base::{NodeId, Uuid, varint};
use std::collections::BTreeMap;

/// Bytes that are not what they claim to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("malformed metadata bytes")
    }
}

impl std::error::Error for Malformed {}

/// Appends fields to a buffer.
#[derive(Debug, Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    /// What a record begins with: its kind and the version of its layout.
    pub(crate) fn kind(&mut self, (kind, version): (u8, u8)) {
        self.byte(kind);
        self.byte(version);
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.byte(u8::from(value));
    }

    pub(crate) fn number(&mut self, value: u64) {
        varint::write_u64(&mut self.0, value);
    }

    pub(crate) fn signed(&mut self, value: i64) {
        varint::write_i64(&mut self.0, value);
    }

    pub(crate) fn text(&mut self, value: &str) {
        self.number(value.len() as u64);
        self.0.extend_from_slice(value.as_bytes());
    }

    pub(crate) fn uuid(&mut self, value: &Uuid) {
        self.0.extend_from_slice(&value.0);
    }

    pub(crate) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Writer, T)) {
        self.bool(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub(crate) fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Writer, &T)) {
        self.number(items.len() as u64);
        for item in items {
            write(self, item);
        }
    }

    pub(crate) fn nodes(&mut self, nodes: &[NodeId]) {
        self.list(nodes, Writer::node);
    }

    pub(crate) fn node(&mut self, node: &NodeId) {
        self.number(u64::from(node.0));
    }

    pub(crate) fn pairs(&mut self, pairs: &BTreeMap<String, String>) {
        self.number(pairs.len() as u64);
        for (key, value) in pairs {
            self.text(key);
            self.text(value);
        }
    }
}

/// Takes fields off a slice.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    pos: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, pos: 0 }
    }

    /// Fails unless every byte was read.
    pub(crate) fn end(&self) -> Result<(), Malformed> {
        if self.pos == self.bytes.len() {
            Ok(())
        } else {
            Err(Malformed)
        }
    }

    fn slice(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let end = self.pos.checked_add(len).ok_or(Malformed)?;
        let slice = self.bytes.get(self.pos..end).ok_or(Malformed)?;
        self.pos = end;
        Ok(slice)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.slice(1)?[0])
    }

    pub(crate) fn bool(&mut self) -> Result<bool, Malformed> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }

    pub(crate) fn number(&mut self) -> Result<u64, Malformed> {
        varint::read_u64(self.bytes, &mut self.pos).ok_or(Malformed)
    }

    /// A number that fits `T`.
    pub(crate) fn small<T: TryFrom<u64>>(&mut self) -> Result<T, Malformed> {
        T::try_from(self.number()?).map_err(|_| Malformed)
    }

    pub(crate) fn signed(&mut self) -> Result<i64, Malformed> {
        varint::read_i64(self.bytes, &mut self.pos).ok_or(Malformed)
    }

    pub(crate) fn text(&mut self) -> Result<String, Malformed> {
        let len = self.small()?;
        let bytes = self.slice(len)?;
        Ok(std::str::from_utf8(bytes)
            .map_err(|_| Malformed)?
            .to_owned())
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        self.slice(len)
    }

    pub(crate) fn uuid(&mut self) -> Result<Uuid, Malformed> {
        Ok(Uuid(self.slice(16)?.try_into().map_err(|_| Malformed)?))
    }

    pub(crate) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        if self.bool()? {
            read(self).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Every item takes at least a byte, so a count beyond the bytes left is refused at once and
    /// memory stays within a constant factor of the input.
    pub(crate) fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Reader<'a>) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let count: usize = self.small()?;
        if count > self.bytes.len() - self.pos {
            return Err(Malformed);
        }
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(read(self)?);
        }
        Ok(items)
    }

    pub(crate) fn node(&mut self) -> Result<NodeId, Malformed> {
        Ok(NodeId(self.small()?))
    }

    pub(crate) fn nodes(&mut self) -> Result<Vec<NodeId>, Malformed> {
        self.list(Reader::node)
    }

    pub(crate) fn pairs(&mut self) -> Result<BTreeMap<String, String>, Malformed> {
        Ok(self
            .list(|r| Ok((r.text()?, r.text()?)))?
            .into_iter()
            .collect())
    }
}
