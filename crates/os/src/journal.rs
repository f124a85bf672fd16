//! A file that is written in whole sectors, synced after each write, and read by a start only: its
//! bytes go past the page cache. That saves the kernel's copy with all its bookkeeping of pages
//! that nobody will read, and leaves the cache to the segments. What this is not: durable by
//! itself; the device's own cache is flushed by the sync, as for every other file.

use crate::file::DataFile;
use base::File;
use rustix::fs::{AtFlags, OFlags, StatxFlags, statx};
use rustix::io::{Errno, pwrite};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Mutex;

/// Positions and lengths that are written this way are multiples of it.
const SECTOR: u64 = 512;
/// Where memory begins that every device takes.
const ALIGNMENT: usize = 4096;
/// Bytes gathered for one write.
const GATHERED: usize = 1024 * 1024;

/// Such a file.
pub struct JournalFile {
    /// For everything but whole sectors.
    cached: DataFile,
    direct: std::fs::File,
    /// Where pieces are gathered: the device takes one run of memory at a fitting place.
    memory: Mutex<Vec<u8>>,
}

impl JournalFile {
    /// Opens a file that is there; none if its filesystem or device takes no single sectors past
    /// the page cache, or doesn't tell.
    pub(crate) fn open(path: &Path) -> io::Result<Option<JournalFile>> {
        let mut options = std::fs::File::options();
        options.read(true).write(true);
        let cached = options.open(path)?;
        let told = match statx(&cached, "", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN) {
            Ok(told) if told.stx_mask & StatxFlags::DIOALIGN.bits() != 0 => told,
            _ => return Ok(None),
        };
        let fits = |align: u32, within: usize| align > 0 && within.is_multiple_of(align as usize);
        if !fits(told.stx_dio_offset_align, SECTOR as usize)
            || !fits(told.stx_dio_mem_align, ALIGNMENT)
        {
            return Ok(None);
        }
        options.custom_flags(OFlags::DIRECT.bits() as i32);
        Ok(Some(JournalFile {
            cached: DataFile::new(cached),
            direct: options.open(path)?,
            memory: Mutex::default(),
        }))
    }

    fn write_sectors(&self, pieces: &[&[u8]], mut pos: u64) -> io::Result<()> {
        let mut memory = self
            .memory
            .lock()
            .expect("nobody panics while writing to a file");
        memory.resize(GATHERED + ALIGNMENT, 0);
        let start = memory.as_ptr().align_offset(ALIGNMENT);
        let room = &mut memory[start..start + GATHERED];
        let mut filled = 0;
        for piece in pieces {
            let mut rest = *piece;
            while !rest.is_empty() {
                let (now, later) = rest.split_at(rest.len().min(GATHERED - filled));
                room[filled..filled + now.len()].copy_from_slice(now);
                filled += now.len();
                rest = later;
                if filled == GATHERED {
                    self.put(room, pos)?;
                    pos += GATHERED as u64;
                    filled = 0;
                }
            }
        }
        self.put(&room[..filled], pos)
    }

    fn put(&self, mut bytes: &[u8], mut pos: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match pwrite(&self.direct, bytes, pos) {
                Ok(written) => {
                    // Begun again at the last whole sector.
                    let whole = written - written % SECTOR as usize;
                    if whole == 0 {
                        return Err(ErrorKind::WriteZero.into());
                    }
                    bytes = &bytes[whole..];
                    pos += whole as u64;
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl File for JournalFile {
    fn len(&self) -> io::Result<u64> {
        self.cached.len()
    }

    fn read_at(&self, buf: &mut [u8], pos: u64) -> io::Result<()> {
        self.cached.read_at(buf, pos)
    }

    fn read_at_cached(&self, buf: &mut [u8], pos: u64) -> io::Result<bool> {
        self.cached.read_at_cached(buf, pos)
    }

    fn write_at(&self, pieces: &[&[u8]], pos: u64) -> io::Result<()> {
        let len: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
        if pos.is_multiple_of(SECTOR) && len.is_multiple_of(SECTOR) {
            self.write_sectors(pieces, pos)
        } else {
            self.cached.write_at(pieces, pos)
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.cached.set_len(len)
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        self.cached.preallocate(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.cached.sync_data()
    }
}
