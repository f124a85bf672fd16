//! Files, and directories of them, that are gone for everybody else: they are renamed to where nobody looks,
//! and a thread of its own removes them. Large files take a filesystem seconds, which whoever removes them
//! hasn't.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

/// Where they lie until then, in the data directory.
const DIR: &str = "trash";

/// What waits to be removed.
pub(crate) struct Trash {
    dir: PathBuf,
    next: AtomicU64,
    sweeper: OnceLock<Mutex<Sender<PathBuf>>>,
}

impl Trash {
    pub(crate) fn of(root: &Path) -> Trash {
        Trash {
            dir: root.join(DIR),
            next: AtomicU64::new(0),
            sweeper: OnceLock::new(),
        }
    }

    /// Removes what an earlier process left.
    pub(crate) fn sweep(&self) -> io::Result<()> {
        let left = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            left => left?,
        };
        for entry in left {
            let path = entry?.path();
            let number = path
                .file_name()
                .and_then(|name| name.to_str()?.parse().ok());
            self.next
                .fetch_max(number.unwrap_or(0) + 1, Ordering::Relaxed);
            self.hand_over(path);
        }
        Ok(())
    }

    /// A file or a directory is gone when this returns, as far as anybody can tell by its name.
    pub(crate) fn throw(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let there = self.dir.join(number.to_string());
        fs::rename(path, &there)?;
        self.hand_over(there);
        Ok(())
    }

    /// What can't be removed stays for the next process to try.
    fn hand_over(&self, path: PathBuf) {
        let sweeper = self.sweeper.get_or_init(|| Mutex::new(start()));
        let sweeper = sweeper.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = sweeper.send(path);
    }
}

/// The thread ends with its sender.
fn start() -> Sender<PathBuf> {
    let (sender, thrown) = channel::<PathBuf>();
    let sweep = move || {
        for path in thrown {
            let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
        }
    };
    thread::Builder::new()
        .name("trash".to_owned())
        .stack_size(128 * 1024)
        .spawn(sweep)
        .expect("the kernel gives a thread");
    sender
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::tests::TempDir;

    fn wait_until_empty(trash: &Path) {
        while fs::read_dir(trash).is_ok_and(|mut left| left.next().is_some()) {
            thread::yield_now();
        }
    }

    #[test]
    fn what_is_thrown_is_gone_at_once_and_its_room_comes_back() {
        let temp = TempDir::new("trash");
        let trash = Trash::of(temp.path());
        let dir = temp.path().join("groups/7");
        for _ in 0..3 {
            fs::create_dir_all(&dir).expect("made");
            fs::write(dir.join("a"), b"a").expect("written");
            trash.throw(&dir).expect("thrown");
            assert!(!dir.exists());
            let file = temp.path().join("groups/8.log");
            fs::write(&file, b"b").expect("written");
            trash.throw(&file).expect("thrown");
            assert!(!file.exists());
        }
        let missing = trash.throw(&dir).map_err(|error| error.kind());
        assert_eq!(missing, Err(ErrorKind::NotFound));
        wait_until_empty(&temp.path().join(DIR));
    }

    #[test]
    fn what_a_process_left_the_next_one_removes() {
        let temp = TempDir::new("sweep");
        let (left, dir) = (temp.path().join(DIR).join("5"), temp.path().join("g"));
        fs::create_dir_all(left.join("below")).expect("made");
        fs::create_dir_all(&dir).expect("made");
        let trash = Trash::of(temp.path());
        trash.sweep().expect("swept");
        trash.throw(&dir).expect("its number isn't the other's");
        wait_until_empty(&temp.path().join(DIR));
    }
}
