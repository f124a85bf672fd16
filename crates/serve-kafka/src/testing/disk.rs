//! A data directory in memory. Reads can be made to wait for the device, and bytes to rot.

use base::{Disk, File, Open};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

#[derive(Default)]
pub(crate) struct MemoryDisk {
    files: Mutex<BTreeMap<String, Arc<MemoryFile>>>,
    slow: Arc<AtomicBool>,
}

#[derive(Default)]
struct MemoryFile {
    bytes: Mutex<Vec<u8>>,
    slow: Arc<AtomicBool>,
}

impl MemoryDisk {
    /// From now on no read is served without waiting.
    pub(crate) fn slow_down(&self) {
        self.slow.store(true, Ordering::Relaxed);
    }

    /// Flips a bit in the middle of every segment file.
    pub(crate) fn rot(&self) {
        for (path, file) in self.files.lock().unwrap().iter() {
            if path.ends_with(".log") {
                let mut bytes = file.bytes.lock().unwrap();
                let middle = bytes.iter().rposition(|b| *b != 0).unwrap() / 2;
                bytes[middle] ^= 1;
            }
        }
    }
}

fn missing() -> io::Error {
    io::Error::from(ErrorKind::NotFound)
}

impl Disk for MemoryDisk {
    fn open(&self, path: &str, how: Open) -> io::Result<Arc<dyn File>> {
        let mut files = self.files.lock().unwrap();
        if how == Open::Existing {
            return Ok(files.get(path).cloned().ok_or_else(missing)?);
        }
        let make = || MemoryFile {
            slow: self.slow.clone(),
            ..MemoryFile::default()
        };
        Ok(files
            .entry(path.to_owned())
            .or_insert_with(|| Arc::new(make()))
            .clone())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.files
            .lock()
            .unwrap()
            .remove(path)
            .map(drop)
            .ok_or_else(missing)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.files.lock().unwrap();
        let file = files.remove(from).ok_or_else(missing)?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let inside = format!("{dir}/");
        let files = self.files.lock().unwrap();
        let names = files.keys().filter_map(|path| match dir {
            "" => Some(path.as_str()),
            _ => path.strip_prefix(&inside),
        });
        let mut names: Vec<String> = names
            .filter_map(|rest| rest.split('/').next())
            .map(str::to_owned)
            .collect();
        names.dedup();
        Ok(names)
    }

    fn create_dir(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn remove_dir(&self, dir: &str) -> io::Result<()> {
        let inside = format!("{dir}/");
        self.files
            .lock()
            .unwrap()
            .retain(|path, _| !path.starts_with(&inside));
        Ok(())
    }

    fn sync_dir(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(1 << 40)
    }
}

impl File for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes.lock().unwrap().len() as u64)
    }

    fn read_at(&self, buf: &mut [u8], pos: u64) -> io::Result<()> {
        let bytes = self.bytes.lock().unwrap();
        let pos = pos as usize;
        let found = bytes.get(pos..pos + buf.len());
        buf.copy_from_slice(found.ok_or_else(|| io::Error::from(ErrorKind::UnexpectedEof))?);
        Ok(())
    }

    fn read_at_cached(&self, buf: &mut [u8], pos: u64) -> io::Result<bool> {
        if self.slow.load(Ordering::Relaxed) {
            return Ok(false);
        }
        self.read_at(buf, pos).map(|()| true)
    }

    fn write_at(&self, pieces: &[&[u8]], pos: u64) -> io::Result<()> {
        let mut bytes = self.bytes.lock().unwrap();
        let mut at = pos as usize;
        for piece in pieces {
            let end = at + piece.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[at..end].copy_from_slice(piece);
            at = end;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.bytes.lock().unwrap().resize(len as usize, 0);
        Ok(())
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        let mut bytes = self.bytes.lock().unwrap();
        if (bytes.len() as u64) < len {
            bytes.resize(len as usize, 0);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
}
