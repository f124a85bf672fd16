//! Records inside a batch: a walk that allocates nothing, and a builder for those who write
//! batches themselves (machines, tools, tests).

use crate::batch::{
    Batch, BatchHeader, Compression, HEADER_BYTES, Invalid, LENGTH_PREFIX_BYTES, UNCOVERED_BYTES,
};
use crate::{Offset, ProducerId, checksum, varint};
use bytes::Bytes;

/// One record, borrowed from the uncompressed bytes of its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Offset relative to the batch.
    pub offset_delta: i32,
    /// Timestamp relative to the batch.
    pub timestamp_delta: i64,
    /// Key, if any.
    pub key: Option<&'a [u8]>,
    /// Value, if any.
    pub value: Option<&'a [u8]>,
    /// The encoded headers, count first.
    headers: &'a [u8],
}

impl<'a> Record<'a> {
    /// Appends the record with another timestamp, relative to its batch.
    pub fn write_at(&self, timestamp_delta: i64, out: &mut Vec<u8>) {
        let mut body = vec![0];
        varint::write_i64(&mut body, timestamp_delta);
        varint::write_i32(&mut body, self.offset_delta);
        write_nullable(&mut body, self.key);
        write_nullable(&mut body, self.value);
        body.extend_from_slice(self.headers);
        varint::write_i32(out, body.len() as i32);
        out.extend_from_slice(&body);
    }

    /// Its timestamp in a batch of this header.
    pub fn timestamp(&self, batch: &BatchHeader) -> i64 {
        match batch.has_append_time() {
            true => batch.max_timestamp,
            false => batch.base_timestamp.wrapping_add(self.timestamp_delta),
        }
    }

    /// Its offset in a batch of this header.
    pub fn offset(&self, batch: &BatchHeader) -> Offset {
        Offset(batch.base_offset.0 + i64::from(self.offset_delta))
    }

    /// The headers in order.
    pub fn headers(&self) -> Vec<(&'a [u8], Option<&'a [u8]>)> {
        let mut pos = 0;
        let count = varint::read_i32(self.headers, &mut pos).unwrap_or(0);
        (0..count)
            .filter_map(|_| read_header(self.headers, &mut pos))
            .collect()
    }
}

fn read_slice<'a>(bytes: &'a [u8], pos: &mut usize, len: i32) -> Option<&'a [u8]> {
    let len = usize::try_from(len).ok()?;
    let slice = bytes.get(*pos..pos.checked_add(len)?)?;
    *pos += len;
    Some(slice)
}

fn read_nullable<'a>(bytes: &'a [u8], pos: &mut usize) -> Option<Option<&'a [u8]>> {
    let len = varint::read_i32(bytes, pos)?;
    if len == -1 {
        return Some(None);
    }
    read_slice(bytes, pos, len).map(Some)
}

fn read_header<'a>(bytes: &'a [u8], pos: &mut usize) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let key_len = varint::read_i32(bytes, pos)?;
    let key = read_slice(bytes, pos, key_len)?;
    Some((key, read_nullable(bytes, pos)?))
}

/// Reads the record at `pos` and moves past it. Every length is checked against its record.
pub fn read<'a>(bytes: &'a [u8], pos: &mut usize) -> Result<Record<'a>, Invalid> {
    read_checked(bytes, pos).ok_or(Invalid::Record)
}

fn read_checked<'a>(bytes: &'a [u8], pos: &mut usize) -> Option<Record<'a>> {
    let len = varint::read_i32(bytes, pos)?;
    let body = read_slice(bytes, pos, len)?;
    let mut at = 1; // attributes: unused, any value
    body.first()?;
    let timestamp_delta = varint::read_i64(body, &mut at)?;
    let offset_delta = varint::read_i32(body, &mut at)?;
    let key = read_nullable(body, &mut at)?;
    let value = read_nullable(body, &mut at)?;
    let headers = body.get(at..)?;
    let count = varint::read_i32(body, &mut at)?;
    if count < 0 {
        return None;
    }
    for _ in 0..count {
        read_header(body, &mut at)?;
    }
    (at == body.len()).then_some(Record {
        offset_delta,
        timestamp_delta,
        key,
        value,
        headers,
    })
}

/// Shows each record to `see`, and checks that there are `count` of them with dense offsets, to the
/// last byte.
pub fn walk(bytes: &[u8], count: i32, mut see: impl FnMut(Record<'_>)) -> Result<(), Invalid> {
    let mut pos = 0;
    for expected in 0..count {
        let record = read(bytes, &mut pos)?;
        if record.offset_delta != expected {
            return Err(Invalid::Count);
        }
        see(record);
    }
    if pos == bytes.len() {
        Ok(())
    } else {
        Err(Invalid::Record)
    }
}

/// Writes a batch record by record, uncompressed.
#[derive(Debug)]
pub struct Builder {
    base_timestamp: i64,
    max_timestamp: i64,
    records: Vec<u8>,
    count: i32,
    attributes: i16,
    producer: (ProducerId, i16, i32),
    scratch: Vec<u8>,
}

impl Builder {
    /// An empty batch whose first record is stamped `base_timestamp` (ms).
    pub fn new(base_timestamp: i64) -> Builder {
        Builder {
            base_timestamp,
            max_timestamp: base_timestamp,
            records: Vec::new(),
            count: 0,
            attributes: 0,
            producer: (ProducerId(-1), -1, -1),
            scratch: Vec::new(),
        }
    }

    /// Makes it a batch of an idempotent producer.
    pub fn producer(mut self, id: ProducerId, epoch: i16, base_sequence: i32) -> Builder {
        self.producer = (id, epoch, base_sequence);
        self
    }

    /// Says how the records are going to be packed ([`Builder::build_with_body`]).
    pub fn compression(self, compression: Compression) -> Builder {
        let attributes = self.attributes | compression.bits();
        self.attributes(attributes)
    }

    /// Sets the attribute bits.
    pub fn attributes(mut self, attributes: i16) -> Builder {
        self.attributes = attributes;
        self
    }

    /// Adds a record.
    pub fn push(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&[u8], Option<&[u8]>)],
    ) {
        let body = &mut self.scratch;
        body.clear();
        body.push(0);
        varint::write_i64(body, timestamp - self.base_timestamp);
        varint::write_i32(body, self.count);
        write_nullable(body, key);
        write_nullable(body, value);
        varint::write_i32(body, headers.len() as i32);
        for (name, value) in headers {
            write_nullable(body, Some(name));
            write_nullable(body, *value);
        }
        varint::write_i32(&mut self.records, body.len() as i32);
        self.records.extend_from_slice(body);
        self.count += 1;
        self.max_timestamp = self.max_timestamp.max(timestamp);
    }

    /// Records so far.
    pub fn count(&self) -> i32 {
        self.count
    }

    /// Bytes of records so far.
    pub fn record_bytes(&self) -> &[u8] {
        &self.records
    }

    /// The finished batch at base offset 0. It has at least one record.
    pub fn build(self) -> Batch {
        let body = self.records.clone();
        self.build_with_body(body)
    }

    /// The finished batch with `body` (the records, perhaps compressed as the attributes say).
    pub fn build_with_body(self, body: Vec<u8>) -> Batch {
        assert!(self.count > 0, "a batch has at least one record");
        let mut head = [0; HEADER_BYTES];
        let length = (HEADER_BYTES - LENGTH_PREFIX_BYTES + body.len()) as i32;
        head[8..12].copy_from_slice(&length.to_be_bytes());
        head[12..16].copy_from_slice(&(-1i32).to_be_bytes());
        head[16] = 2;
        head[21..23].copy_from_slice(&self.attributes.to_be_bytes());
        head[23..27].copy_from_slice(&(self.count - 1).to_be_bytes());
        head[27..35].copy_from_slice(&self.base_timestamp.to_be_bytes());
        head[35..43].copy_from_slice(&self.max_timestamp.to_be_bytes());
        head[43..51].copy_from_slice(&self.producer.0.0.to_be_bytes());
        head[51..53].copy_from_slice(&self.producer.1.to_be_bytes());
        head[53..57].copy_from_slice(&self.producer.2.to_be_bytes());
        head[57..61].copy_from_slice(&self.count.to_be_bytes());
        let crc = checksum::combine(
            checksum::crc32c(&head[UNCOVERED_BYTES..]),
            checksum::crc32c(&body),
            body.len() as u64,
        );
        head[17..21].copy_from_slice(&crc.to_be_bytes());
        Batch::from_parts(head, Bytes::from(body)).expect("the builder writes valid headers")
    }
}

fn write_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => varint::write_i32(out, -1),
        Some(bytes) => {
            varint::write_i32(out, bytes.len() as i32);
            out.extend_from_slice(bytes);
        }
    }
}
