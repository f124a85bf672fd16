//! Frames on a byte stream: a length of four bytes, big end first, then that many bytes.

use base::limits::NODE_FRAME_BYTES_MAX;
use bytes::{Buf, Bytes, BytesMut};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Room made for reading at least.
const ROOM_MIN: usize = 64 * 1024;
/// Room made ahead for a long frame: its length is only a claim until its bytes are there.
const ROOM_MAX: usize = 2 * 1024 * 1024;
/// Shorter frames are copied out: their batches stay in memory for a while, and would keep the
/// whole buffer they were read into.
const SHARED_MIN: usize = 64 * 1024;
/// Pieces in one write; the kernel takes no more than 1024.
const SLICES_MAX: usize = 512;

/// A frame longer than [`NODE_FRAME_BYTES_MAX`], which no node sends.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {0} bytes was announced; the limit is {NODE_FRAME_BYTES_MAX}")]
pub struct TooLong(pub u32);

/// Cuts a stream into frames.
#[derive(Default)]
pub struct Splitter {
    buffer: BytesMut,
}

impl Splitter {
    /// The buffer to read into, with room.
    pub fn room(&mut self) -> &mut BytesMut {
        let missing = match self.announced() {
            Some(len) => (len as usize + 4).saturating_sub(self.buffer.len()),
            None => 0,
        };
        self.buffer.reserve(missing.clamp(ROOM_MIN, ROOM_MAX));
        &mut self.buffer
    }

    /// The next whole frame.
    pub fn next(&mut self) -> Result<Option<Bytes>, TooLong> {
        let Some(len) = self.announced() else {
            return Ok(None);
        };
        if len > NODE_FRAME_BYTES_MAX {
            return Err(TooLong(len));
        }
        if self.buffer.len() < len as usize + 4 {
            return Ok(None);
        }
        self.buffer.advance(4);
        let len = len as usize;
        if len < SHARED_MIN {
            let frame = Bytes::copy_from_slice(&self.buffer[..len]);
            self.buffer.advance(len);
            return Ok(Some(frame));
        }
        Ok(Some(self.buffer.split_to(len).freeze()))
    }

    fn announced(&self) -> Option<u32> {
        let head: [u8; 4] = self.buffer.get(..4)?.try_into().expect("four bytes");
        Some(u32::from_be_bytes(head))
    }
}

/// Writes frames, many pieces at a time.
pub async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    frames: VecDeque<Vec<Bytes>>,
) -> io::Result<()> {
    let mut pieces: Vec<Bytes> = Vec::new();
    for frame in frames {
        let len: usize = frame.iter().map(Bytes::len).sum();
        let len = u32::try_from(len)
            .ok()
            .filter(|len| *len <= NODE_FRAME_BYTES_MAX);
        let Some(len) = len else {
            let text = "a frame for another node is longer than a node takes";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        };
        pieces.push(Bytes::copy_from_slice(&len.to_be_bytes()));
        pieces.extend(frame.into_iter().filter(|piece| !piece.is_empty()));
        if pieces.len() >= SLICES_MAX {
            write_pieces(stream, &pieces).await?;
            pieces.clear();
        }
    }
    write_pieces(stream, &pieces).await
}

/// Writes pieces one after the other.
pub async fn write_pieces(
    stream: &mut (impl AsyncWrite + Unpin),
    pieces: &[Bytes],
) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    let mut rest = &mut slices[..];
    while !rest.is_empty() {
        let now = rest.len().min(SLICES_MAX);
        let written = stream.write_vectored(&rest[..now]).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        IoSlice::advance_slices(&mut rest, written);
    }
    Ok(())
}
