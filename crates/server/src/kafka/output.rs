//! Bytes on their way to a client's socket.

use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use tokio::net::TcpStream;

/// Pieces in one write; the kernel takes no more than 1024.
const SLICES_MAX: usize = 128;

/// The pieces that are left to write.
#[derive(Default)]
pub struct Output {
    pieces: VecDeque<Bytes>,
    bytes: usize,
}

impl Output {
    /// Adds pieces at the end.
    pub fn push(&mut self, pieces: Vec<Bytes>) {
        for piece in pieces.into_iter().filter(|piece| !piece.is_empty()) {
            self.bytes += piece.len();
            self.pieces.push_back(piece);
        }
    }

    /// Bytes left.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Writes as much as the socket takes now. True if anything was written.
    pub fn write(&mut self, stream: &TcpStream) -> io::Result<bool> {
        let mut any = false;
        while !self.pieces.is_empty() {
            match self.write_some(stream) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    any = true;
                    self.written(count);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(any)
    }

    fn write_some(&self, stream: &TcpStream) -> io::Result<usize> {
        // Most answers: a plain write asks less of the system.
        if let (1, Some(only)) = (self.pieces.len(), self.pieces.front()) {
            return stream.try_write(only);
        }
        let pieces = self.pieces.iter().take(SLICES_MAX);
        let slices: Vec<IoSlice<'_>> = pieces.map(|piece| IoSlice::new(piece)).collect();
        stream.try_write_vectored(&slices)
    }

    fn written(&mut self, mut count: usize) {
        self.bytes -= count;
        while count > 0 {
            let first = self
                .pieces
                .front_mut()
                .expect("no more is written than there was");
            if first.len() > count {
                first.advance(count);
                return;
            }
            count -= first.len();
            self.pieces.pop_front();
        }
    }
}
