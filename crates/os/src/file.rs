//! One open file.

use base::File;
use rustix::fs::{fdatasync, fsync};
use rustix::io::{Errno, ReadWriteFlags, preadv2, pwritev};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::os::unix::fs::FileExt;

/// Zeros for preallocation, written many times over by one call.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
/// How many times [`ZEROS`] goes out in one call.
const ZERO_SLICES: usize = 16;
/// Pieces handed to the kernel in one call; it takes no more than 1024.
const SLICES_MAX: usize = 1024;

/// A real file.
#[derive(Debug)]
pub struct DataFile {
    file: std::fs::File,
}

impl DataFile {
    pub(crate) fn new(file: std::fs::File) -> DataFile {
        DataFile { file }
    }

    fn write_slices(&self, mut slices: &mut [IoSlice<'_>], mut pos: u64) -> io::Result<()> {
        while !slices.is_empty() {
            let now = slices.len().min(SLICES_MAX);
            match pwritev(&self.file, &slices[..now], pos) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    pos += written as u64;
                    IoSlice::advance_slices(&mut slices, written);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl File for DataFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, buf: &mut [u8], pos: u64) -> io::Result<()> {
        self.file.read_exact_at(buf, pos)
    }

    fn read_at_cached(&self, buf: &mut [u8], pos: u64) -> io::Result<bool> {
        let mut done = 0;
        while done < buf.len() {
            let mut rest = [IoSliceMut::new(&mut buf[done..])];
            let at = pos + done as u64;
            match preadv2(&self.file, &mut rest, at, ReadWriteFlags::NOWAIT) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => done += read,
                Err(Errno::INTR) => {}
                // Not in memory; or a filesystem that can't tell, where every read may wait.
                Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                    return Ok(false);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    fn write_at(&self, pieces: &[&[u8]], pos: u64) -> io::Result<()> {
        let mut slices: Vec<IoSlice<'_>> = pieces
            .iter()
            .filter(|piece| !piece.is_empty())
            .map(|p| IoSlice::new(p))
            .collect();
        self.write_slices(&mut slices, pos)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        let mut pos = self.len()?;
        while pos < len {
            let mut left = len - pos;
            let mut slices = Vec::with_capacity(ZERO_SLICES);
            while left > 0 && slices.len() < ZERO_SLICES {
                let piece = left.min(ZEROS.len() as u64);
                slices.push(IoSlice::new(&ZEROS[..piece as usize]));
                left -= piece;
            }
            self.write_slices(&mut slices, pos)?;
            pos = len - left;
        }
        // The length and the place of the blocks must be durable too, so not `fdatasync`.
        Ok(fsync(&self.file)?)
    }

    fn sync_data(&self) -> io::Result<()> {
        // Not retried, not even when interrupted: after an error nobody knows what was lost.
        Ok(fdatasync(&self.file)?)
    }
}
