//! Writes values of the Kafka protocol. Small values are gathered in one buffer; large byte
//! fields are only remembered with their place in it, so that an answer leaves as a list of
//! pieces and records are never copied.

use crate::records::{Piece, Records};
use base::{Uuid, varint};
use bytes::{Bytes, BytesMut};

/// Byte fields at least this long are spliced into the output; shorter ones are copied, which
/// is cheaper than another piece in the list.
pub const SPLICE_BYTES: usize = 512;

/// The output of one message or frame.
#[derive(Debug, Default)]
pub struct Writer {
    small: Vec<u8>,
    /// Bytes of others and the place in `small` before which they belong.
    spliced: Vec<(usize, Bytes)>,
    spliced_bytes: usize,
    /// True if `small` starts with room for the length of a frame.
    framed: bool,
}

impl Writer {
    /// A writer of a bare message.
    pub fn new() -> Writer {
        Writer::default()
    }

    /// A writer of a frame: its length is put in front by [`Writer::finish`].
    pub fn framed() -> Writer {
        let mut small = Vec::with_capacity(128);
        small.extend_from_slice(&[0; 4]);
        Writer {
            small,
            framed: true,
            ..Writer::default()
        }
    }

    /// Bytes written so far, the room for the length included.
    pub fn len(&self) -> usize {
        self.small.len() + self.spliced_bytes
    }

    /// True if nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was written, as pieces to be sent in this order.
    pub fn finish(mut self) -> Vec<Bytes> {
        self.put_frame_length();
        let small = Bytes::from(self.small);
        let mut pieces = Vec::with_capacity(self.spliced.len() * 2 + 1);
        let mut from = 0;
        for (at, bytes) in self.spliced {
            if at > from {
                pieces.push(small.slice(from..at));
            }
            pieces.push(bytes);
            from = at;
        }
        if from < small.len() {
            pieces.push(small.slice(from..));
        }
        pieces
    }

    /// What was written, in one piece (a copy if anything was spliced).
    pub fn into_bytes(self) -> Bytes {
        let length = self.len();
        let mut pieces = self.finish();
        if pieces.len() == 1 {
            return pieces.remove(0);
        }
        let mut whole = BytesMut::with_capacity(length);
        pieces
            .iter()
            .for_each(|piece| whole.extend_from_slice(piece));
        whole.freeze()
    }

    fn put_frame_length(&mut self) {
        if self.framed {
            let length = i32::try_from(self.len() - 4).expect("a frame has less than 2 GiB");
            self.small[..4].copy_from_slice(&length.to_be_bytes());
        }
    }

    /// A truth value.
    pub fn bool(&mut self, value: bool) {
        self.small.push(u8::from(value));
    }

    /// A signed 8-bit integer.
    pub fn i8(&mut self, value: i8) {
        self.small.extend_from_slice(&value.to_be_bytes());
    }

    /// A signed 16-bit integer.
    pub fn i16(&mut self, value: i16) {
        self.small.extend_from_slice(&value.to_be_bytes());
    }

    /// An unsigned 16-bit integer.
    pub fn u16(&mut self, value: u16) {
        self.small.extend_from_slice(&value.to_be_bytes());
    }

    /// A signed 32-bit integer.
    pub fn i32(&mut self, value: i32) {
        self.small.extend_from_slice(&value.to_be_bytes());
    }

    /// An unsigned 32-bit integer.
    pub fn u32(&mut self, value: u32) {
        self.small.extend_from_slice(&value.to_be_bytes());
    }

    /// A signed 64-bit integer.
    pub fn i64(&mut self, value: i64) {
        self.small.extend_from_slice(&value.to_be_bytes());
    }

    /// A floating point number.
    pub fn f64(&mut self, value: f64) {
        self.small.extend_from_slice(&value.to_be_bytes());
    }

    /// An id of 128 bits.
    pub fn uuid(&mut self, value: Uuid) {
        self.small.extend_from_slice(&value.0);
    }

    /// An unsigned variable-length integer.
    pub fn uvarint(&mut self, value: u32) {
        varint::write_u32(&mut self.small, value);
    }

    fn length(&mut self, flexible: bool, length: usize) {
        let length = i32::try_from(length).expect("a message has less than 2 GiB");
        if flexible {
            self.uvarint(length as u32 + 1)
        } else {
            self.i32(length)
        }
    }

    fn null(&mut self, flexible: bool) {
        if flexible {
            self.uvarint(0)
        } else {
            self.i32(-1)
        }
    }

    /// Text. Lengths have 16 bits outside of flexible versions; a longer text is cut.
    pub fn string(&mut self, flexible: bool, text: &str) {
        if flexible {
            self.length(true, text.len());
            return self.small.extend_from_slice(text.as_bytes());
        }
        let text = &text[..text.floor_char_boundary(i16::MAX as usize)];
        self.i16(text.len() as i16);
        self.small.extend_from_slice(text.as_bytes());
    }

    /// Text or null.
    pub fn nullable_string(&mut self, flexible: bool, text: Option<&str>) {
        match text {
            Some(text) => self.string(flexible, text),
            None if flexible => self.uvarint(0),
            None => self.i16(-1),
        }
    }

    fn splice(&mut self, bytes: &Bytes) {
        if bytes.len() < SPLICE_BYTES {
            return self.small.extend_from_slice(bytes);
        }
        self.spliced_bytes += bytes.len();
        self.spliced.push((self.small.len(), bytes.clone()));
    }

    /// Bytes.
    pub fn bytes(&mut self, flexible: bool, bytes: &Bytes) {
        self.length(flexible, bytes.len());
        self.splice(bytes);
    }

    /// Bytes or null.
    pub fn nullable_bytes(&mut self, flexible: bool, bytes: Option<&Bytes>) {
        match bytes {
            Some(bytes) => self.bytes(flexible, bytes),
            None => self.null(flexible),
        }
    }

    /// Record batches.
    pub fn records(&mut self, flexible: bool, records: &Records) {
        self.length(flexible, records.len());
        match records {
            Records::Whole(bytes) => self.splice(bytes),
            Records::Pieces(pieces) => pieces.iter().for_each(|piece| self.piece(piece)),
        }
    }

    fn piece(&mut self, piece: &Piece) {
        match piece {
            Piece::Bytes(bytes) => self.splice(bytes),
            Piece::Batch(batch) => {
                self.small.extend_from_slice(batch.head());
                self.splice(batch.body());
            }
        }
    }

    /// Record batches or null.
    pub fn nullable_records(&mut self, flexible: bool, records: Option<&Records>) {
        match records {
            Some(records) => self.records(flexible, records),
            None => self.null(flexible),
        }
    }

    /// An array.
    pub fn array<T>(
        &mut self,
        flexible: bool,
        elements: &[T],
        mut element: impl FnMut(&mut Writer, &T),
    ) {
        self.length(flexible, elements.len());
        elements.iter().for_each(|e| element(self, e));
    }

    /// An array or null.
    pub fn nullable_array<T>(
        &mut self,
        flexible: bool,
        elements: Option<&[T]>,
        element: impl FnMut(&mut Writer, &T),
    ) {
        match elements {
            Some(elements) => self.array(flexible, elements, element),
            None => self.null(flexible),
        }
    }

    /// A struct or null.
    pub fn nullable_struct<T>(&mut self, value: Option<&T>, write: impl FnOnce(&mut Writer, &T)) {
        match value {
            Some(value) => {
                self.i8(1);
                write(self, value);
            }
            None => self.i8(-1),
        }
    }

    /// The tagged fields at the end of a struct.
    pub fn tags(&mut self, tags: Tags) {
        self.uvarint(tags.count);
        self.small.extend_from_slice(&tags.content.small);
    }

    /// The end of a struct that has no tagged fields.
    pub fn no_tags(&mut self) {
        self.uvarint(0);
    }
}

/// Gathers the tagged fields of a struct, in the order of their tags.
#[derive(Debug, Default)]
pub struct Tags {
    count: u32,
    content: Writer,
}

impl Tags {
    /// None yet.
    pub fn new() -> Tags {
        Tags::default()
    }

    /// Adds a field.
    pub fn put(&mut self, tag: u32, write: impl FnOnce(&mut Writer)) {
        let mut field = Writer::new();
        write(&mut field);
        self.count += 1;
        self.content.uvarint(tag);
        self.content.uvarint(field.len() as u32);
        for piece in field.finish() {
            self.content.small.extend_from_slice(&piece);
        }
    }
}
