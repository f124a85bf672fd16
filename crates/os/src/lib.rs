//! Floor 1: the real disk, clock, entropy and sockets.
//!
//! This is the world as the server sees it; the simulator has its own. Nothing here decides
//! anything: each function asks the kernel one thing and reports what it said. All calls go
//! through libc, so that a preloaded library can slow or fail them.

pub mod clock;
pub mod disk;
pub mod entropy;
pub mod file;
mod journal;
pub mod lock;
mod overlay;
pub mod process;
pub mod socket;
mod syncer;
mod trash;
mod whole;

pub use disk::DataDir;
pub use file::DataFile;
pub use lock::{DirLock, LockError};
pub use overlay::Overlay;
