//! A disk in memory without faults, just enough to open a store on.

use base::{Disk, File, Open};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

/// The files of an empty store.
pub(super) fn files() -> Arc<log::Files> {
    let settings = log::StorageSettings::default();
    let (storage, _) = log::Storage::open(Arc::new(Memory::default()), settings).unwrap();
    storage.files()
}

#[derive(Default)]
struct Memory(Mutex<BTreeMap<String, Arc<Bytes>>>);

#[derive(Default)]
struct Bytes(Mutex<Vec<u8>>);

fn missing() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

impl Disk for Memory {
    fn open(&self, path: &str, how: Open) -> io::Result<Arc<dyn File>> {
        let mut files = self.0.lock().unwrap();
        if how == Open::Existing && !files.contains_key(path) {
            return Err(missing());
        }
        Ok(files.entry(path.to_owned()).or_default().clone())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.0
            .lock()
            .unwrap()
            .remove(path)
            .map(drop)
            .ok_or_else(missing)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.0.lock().unwrap();
        let file = files.remove(from).ok_or_else(missing)?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let files = self.0.lock().unwrap();
        let inside = |path: &String| {
            let name = if dir.is_empty() {
                path
            } else {
                path.strip_prefix(dir)?.strip_prefix('/')?
            };
            (!name.contains('/')).then(|| name.to_owned())
        };
        Ok(files.keys().filter_map(inside).collect())
    }

    fn create_dir(&self, _dir: &str) -> io::Result<()> {
        Ok(())
    }

    fn remove_dir(&self, dir: &str) -> io::Result<()> {
        self.0
            .lock()
            .unwrap()
            .retain(|path, _| !path.starts_with(&format!("{dir}/")));
        Ok(())
    }

    fn sync_dir(&self, _dir: &str) -> io::Result<()> {
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

impl File for Bytes {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().len() as u64)
    }

    fn read_at(&self, buf: &mut [u8], pos: u64) -> io::Result<()> {
        let bytes = self.0.lock().unwrap();
        let from = usize::try_from(pos).unwrap();
        let range = from..from + buf.len();
        let end = || io::Error::from(io::ErrorKind::UnexpectedEof);
        buf.copy_from_slice(bytes.get(range).ok_or_else(end)?);
        Ok(())
    }

    fn read_at_cached(&self, buf: &mut [u8], pos: u64) -> io::Result<bool> {
        self.read_at(buf, pos).map(|()| true)
    }

    fn write_at(&self, pieces: &[&[u8]], pos: u64) -> io::Result<()> {
        let mut bytes = self.0.lock().unwrap();
        let mut at = usize::try_from(pos).unwrap();
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
        self.0
            .lock()
            .unwrap()
            .resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        if self.len()? < len {
            self.set_len(len)
        } else {
            Ok(())
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
}
