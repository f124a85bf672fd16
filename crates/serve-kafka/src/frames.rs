//! Cuts the stream of a connection into frames: a length of four bytes, then that many bytes.
//!
//! A frame that arrived in one piece is a slice of it. A frame in several pieces is gathered in
//! memory that grows with what really came, never by what the length promises. What this is
//! not: it knows nothing of requests.

use bytes::Bytes;
use std::collections::VecDeque;

/// A frame's length that can't be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {length} bytes was announced, 0 to {limit} are allowed")]
pub struct BadLength {
    /// What was announced.
    pub length: i32,
    /// `socket.request.max.bytes`.
    pub limit: u32,
}

/// The stream, cut as far as it was asked for.
#[derive(Debug)]
pub struct Frames {
    limit: u32,
    /// What came and wasn't looked at yet, each with the length it arrived with.
    chunks: VecDeque<(Bytes, usize)>,
    chunk_bytes: usize,
    /// The bytes of a frame that began in an earlier chunk, its length first.
    partial: Vec<u8>,
}

const PREFIX: usize = 4;

impl Frames {
    /// A stream whose frames have at most `limit` bytes.
    pub fn new(limit: u32) -> Frames {
        Frames { limit, chunks: VecDeque::new(), chunk_bytes: 0, partial: Vec::new() }
    }

    /// Takes what came.
    pub fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.chunk_bytes += bytes.len();
            let arrived = bytes.len();
            self.chunks.push_back((bytes, arrived));
        }
    }

    /// Bytes held.
    pub fn pending_bytes(&self) -> usize {
        self.chunk_bytes + self.partial.len()
    }

    /// The next whole frame without its length, or `None` if it isn't all there.
    pub fn next(&mut self) -> Result<Option<Bytes>, BadLength> {
        if self.partial.is_empty()
            && let Some(frame) = self.whole()?
        {
            return Ok(Some(frame));
        }
        if !self.gather(PREFIX) {
            return Ok(None);
        }
        let length = self.length(&self.partial)?;
        if !self.gather(PREFIX + length) {
            return Ok(None);
        }
        let frame = std::mem::take(&mut self.partial);
        Ok(Some(Bytes::from(frame).slice(PREFIX..)))
    }

    /// A frame that lies in the first chunk.
    fn whole(&mut self) -> Result<Option<Bytes>, BadLength> {
        let Some((chunk, arrived)) = self.chunks.front() else { return Ok(None) };
        if chunk.len() < PREFIX {
            return Ok(None);
        }
        let (length, arrived) = (self.length(chunk)?, *arrived);
        if chunk.len() < PREFIX + length {
            return Ok(None);
        }
        let frame = self.take(PREFIX + length).slice(PREFIX..);
        // A small batch that stays in memory must not hold a large chunk there.
        let lean = frame.len() * 2 >= arrived;
        Ok(Some(if lean { frame } else { Bytes::copy_from_slice(&frame) }))
    }

    fn length(&self, bytes: &[u8]) -> Result<usize, BadLength> {
        let length = i32::from_be_bytes(bytes[..PREFIX].try_into().expect("there are four bytes"));
        match u32::try_from(length) {
            Ok(fits) if fits <= self.limit => Ok(fits as usize),
            _ => Err(BadLength { length, limit: self.limit }),
        }
    }

    /// Takes at most `most` bytes from the first chunk, which exists.
    fn take(&mut self, most: usize) -> Bytes {
        let (chunk, _) = self.chunks.front_mut().expect("the caller saw a chunk");
        let taken = chunk.split_to(most.min(chunk.len()));
        if chunk.is_empty() {
            self.chunks.pop_front();
        }
        self.chunk_bytes -= taken.len();
        taken
    }

    /// Moves bytes to the partial frame until it has `upto`; false if there aren't so many.
    fn gather(&mut self, upto: usize) -> bool {
        while self.partial.len() < upto && !self.chunks.is_empty() {
            let bytes = self.take(upto - self.partial.len());
            self.partial.extend_from_slice(&bytes);
        }
        self.partial.len() >= upto
    }
}

#[cfg(test)]
mod tests;
