//! Frames: what one write of the write-ahead log holds. A header, encoded records, padding.
//!
//! A frame is written from a list of slices: the bodies of larger batches are not copied, and
//! their part of the checksum comes from Kafka's own.

use super::{Position, SECTOR};
use crate::field::{Fields, put_u32, put_u64};
use crate::turn::Record;
use crate::wal::record;
use base::batch::HEADER_BYTES;
use base::{Batch, Bug, File, checksum, planted};
use bytes::Bytes;
use std::io;

const MAGIC: u32 = 0x464c_5746;
/// Bytes of a frame's header.
pub(crate) const FRAME_HEADER: usize = 36;
/// A frame that has reached this is followed by another.
const FRAME_BYTES: usize = 8 * 1024 * 1024;
/// Shorter bodies are copied: a slice of its own costs more.
const COPIED_BODY_BYTES: usize = 2048;
static PADDING: [u8; SECTOR as usize] = [0; SECTOR as usize];

/// A frame to write.
#[derive(Debug)]
pub(crate) struct Frame {
    /// The header and everything that is copied.
    copied: Vec<u8>,
    /// Bodies, and where in `copied` each comes.
    bodies: Vec<(usize, Bytes)>,
    bodies_len: usize,
    /// Checksum of the records, and how far in `copied` it reaches.
    sum: u32,
    summed: usize,
    /// The first turn that has a record here.
    pub(crate) first_turn: u64,
}

impl Frame {
    fn new(first_turn: u64) -> Frame {
        Frame {
            copied: vec![0; FRAME_HEADER],
            bodies: Vec::new(),
            bodies_len: 0,
            sum: 0,
            summed: FRAME_HEADER,
            first_turn,
        }
    }

    /// A frame without records: only its synced position says something.
    pub(crate) fn marker() -> Frame {
        Frame::new(0)
    }

    fn body_len(&self) -> usize {
        self.copied.len() - FRAME_HEADER + self.bodies_len
    }

    /// Bytes with padding.
    pub(crate) fn len(&self) -> u64 {
        ((FRAME_HEADER + self.body_len()) as u64).next_multiple_of(SECTOR)
    }

    fn sum_copied(&mut self) {
        let rest = &self.copied[self.summed..];
        self.sum = checksum::combine(self.sum, checksum::crc32c(rest), rest.len() as u64);
        self.summed = self.copied.len();
    }

    fn put_batch(&mut self, batch: &Batch) {
        if batch.len() < COPIED_BODY_BYTES {
            self.copied.extend_from_slice(batch.head());
            self.copied.extend_from_slice(batch.body());
            return;
        }
        self.sum_copied();
        self.copied.extend_from_slice(batch.head());
        self.summed = self.copied.len();
        self.sum = checksum::combine(self.sum, batch.full_checksum(), batch.len() as u64);
        self.bodies.push((self.copied.len(), batch.body().clone()));
        self.bodies_len += batch.body().len();
    }

    /// Writes the header for a place.
    pub(crate) fn seal(&mut self, at: Position, synced: Position) {
        self.sum_copied();
        let mut header = Vec::with_capacity(FRAME_HEADER);
        put_u32(&mut header, MAGIC);
        put_u32(&mut header, 0);
        put_u32(&mut header, self.body_len() as u32);
        put_u32(&mut header, self.sum);
        put_u64(&mut header, synced.generation);
        put_u64(&mut header, synced.pos);
        put_u32(&mut header, 0);
        let sum = header_sum(at, &header[8..]);
        header[4..8].copy_from_slice(&sum.to_le_bytes());
        self.copied[..FRAME_HEADER].copy_from_slice(&header);
    }

    /// Writes all of it in one call.
    pub(crate) fn write_to(&self, file: &dyn File, pos: u64) -> io::Result<()> {
        let mut pieces: Vec<&[u8]> = Vec::with_capacity(2 * self.bodies.len() + 2);
        let mut from = 0;
        for (upto, body) in &self.bodies {
            pieces.push(&self.copied[from..*upto]);
            pieces.push(body);
            from = *upto;
        }
        pieces.push(&self.copied[from..]);
        let padding = self.len() as usize - FRAME_HEADER - self.body_len();
        pieces.push(&PADDING[..padding]);
        pieces.retain(|piece| !piece.is_empty());
        file.write_at(&pieces, pos)
    }
}

/// Encodes turns into as few frames as their bound allows.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    frames: Vec<Frame>,
    turn: u64,
}

impl Encoder {
    /// A turn begins.
    pub(crate) fn turn(&mut self, number: u64) {
        self.turn = number;
        let full = self
            .frames
            .last()
            .is_none_or(|frame| frame.body_len() >= FRAME_BYTES);
        if full {
            self.frames.push(Frame::new(number));
        }
        let frame = self
            .frames
            .last_mut()
            .expect("one was just made if there was none");
        record::put_turn(&mut frame.copied, number);
    }

    fn frame(&mut self) -> &mut Frame {
        let number = self.turn;
        if self
            .frames
            .last()
            .is_none_or(|frame| frame.body_len() >= FRAME_BYTES)
        {
            self.turn(number);
        }
        self.frames.last_mut().expect("a turn begins with a frame")
    }

    /// Adds a record of the turn; a direct batch leaves only its header.
    pub(crate) fn record(&mut self, record: &Record, direct: bool) {
        let frame = self.frame();
        record::put(&mut frame.copied, record, direct);
        match record {
            Record::Batch { batch, .. } if direct => frame.copied.extend_from_slice(batch.head()),
            Record::Batch { batch, .. } => frame.put_batch(batch),
            _ => {}
        }
    }

    /// The frames in order.
    pub(crate) fn finish(self) -> Vec<Frame> {
        self.frames
    }
}

const _: () = assert!(COPIED_BODY_BYTES > HEADER_BYTES);

fn header_sum(at: Position, rest: &[u8]) -> u32 {
    let generation = if planted(Bug::UnseededChecksum) {
        0
    } else {
        at.generation
    };
    let mut summed = Vec::with_capacity(16 + FRAME_HEADER);
    put_u64(&mut summed, generation);
    put_u64(&mut summed, at.pos);
    summed.extend_from_slice(rest);
    checksum::crc32c(&summed)
}

/// A frame's header, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) body_len: u32,
    body_sum: u32,
    /// What was durable when the frame was written.
    pub(crate) synced: Position,
}

impl FrameHeader {
    /// Reads the header of a frame at a place; `None` if there is no frame of that place.
    pub(crate) fn read(bytes: &[u8], at: Position) -> Option<FrameHeader> {
        let mut fields = Fields::new(bytes.get(..FRAME_HEADER)?);
        let (magic, sum) = (fields.u32()?, fields.u32()?);
        if magic != MAGIC || sum != header_sum(at, &bytes[8..FRAME_HEADER]) {
            return None;
        }
        Some(FrameHeader {
            body_len: fields.u32()?,
            body_sum: fields.u32()?,
            synced: Position {
                generation: fields.u64()?,
                pos: fields.u64()?,
            },
        })
    }

    /// Bytes of the whole frame with padding.
    pub(crate) fn frame_len(&self) -> u64 {
        (FRAME_HEADER as u64 + u64::from(self.body_len)).next_multiple_of(SECTOR)
    }

    /// True if these are the frame's records.
    pub(crate) fn covers(&self, body: &[u8]) -> bool {
        body.len() == self.body_len as usize && checksum::crc32c(body) == self.body_sum
    }
}
