//! A directory of its own for each test, gone afterwards.

use os::DataDir;
use std::path::PathBuf;

/// The directory.
pub struct Scratch(PathBuf);

impl Scratch {
    /// A fresh one.
    pub fn new() -> Scratch {
        let name = format!("flotilla-server-{:016x}", os::entropy::bits());
        Scratch(std::env::temp_dir().join(name))
    }

    /// A path in it, which is made.
    pub fn join(&self, name: &str) -> PathBuf {
        std::fs::create_dir_all(&self.0).expect("the directory for temporary files can be written");
        self.0.join(name)
    }

    /// It as a data directory.
    pub fn disk(&self) -> DataDir {
        DataDir::open(&self.0).expect("the directory for temporary files can be written")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
