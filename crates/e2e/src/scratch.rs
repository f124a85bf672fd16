//! A directory for one test, gone at its end unless the test failed.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A directory of its own.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    kept: bool,
}

impl Scratch {
    /// Makes one; `name` shows whose it is.
    pub fn new(name: &str) -> Scratch {
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let own = format!("flotilla-{name}-{}-{count}", std::process::id());
            let path = std::env::temp_dir().join(own);
            match std::fs::create_dir(&path) {
                Ok(()) => return Scratch { path, kept: false },
                // Left by a test that failed in a process of the same number.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => panic!("the temporary directory can be written: {error}"),
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves it for a look.
    pub fn keep(&mut self) {
        self.kept = true;
    }

    /// A place in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.kept || std::thread::panicking() {
            eprintln!("kept for a look: {}", self.path.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
