//! What can go wrong with files, in words that an operator can act on.

use base::{GroupId, Offset};
use std::io;

/// An effect on the data directory failed.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The device or file system failed. After this nothing may be assumed about unsynced bytes:
    /// the process stops.
    #[error(
        "{op} of {path} failed: {source}; {}, then restart the node",
        remedy(source)
    )]
    Io {
        /// The file or directory.
        path: String,
        /// What was tried.
        op: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// No room. Nothing was acknowledged; the same work can be tried again.
    #[error(
        "no space left while writing {path}; free some space: a node that runs goes on by itself"
    )]
    Full {
        /// The file.
        path: String,
    },
    /// Bytes that were durable are not what was written.
    #[error("{file} is corrupt at byte {offset}: {what}; {remedy}")]
    Corrupt {
        /// The file.
        file: String,
        /// Where in it.
        offset: u64,
        /// What was found.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// The directory was written by a later version.
    #[error(
        "the data directory has format {found}, this version knows formats up to {known}; start the version that wrote it"
    )]
    NewerFormat {
        /// Its format.
        found: u32,
        /// The latest format known here.
        known: u32,
    },
    /// Another process has the directory.
    #[error(
        "the data directory {path} is in use by another process; stop it or choose another directory"
    )]
    InUse {
        /// The directory.
        path: String,
    },
}

fn remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::FileTooLarge => {
            "raise the limit of the size of files of this process (ulimit -f, LimitFSIZE= of systemd)"
        }
        _ => "check the device",
    }
}

/// What an operator does about a corrupt file that the whole node depends on.
pub(crate) const RESTORE: &str = "this is a lost disk, and an old copy of it can't be used: give the node up (flotilla cluster remove \
     <node> --lost), empty this data directory and start the node with --join; if it has always been alone, only a \
     backup has what it lost";

/// The same of a file of one group.
const RENEW: &str = "its replica is made again from the others, as long as most of them are in sync; else bring those \
     back, or move the partition to other nodes";

/// What an operator does about a corrupt file of a group.
pub(crate) fn remedy_of(group: GroupId) -> &'static str {
    match group {
        GroupId::META => RESTORE,
        _ => RENEW,
    }
}

impl Fault {
    /// Sorts an error of the system: out of room is one thing, the rest another.
    pub(crate) fn from_io(path: &str, op: &'static str, source: io::Error) -> Fault {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded if op != "sync" => {
                Fault::Full {
                    path: path.to_string(),
                }
            }
            _ => Fault::Io {
                path: path.to_string(),
                op,
                source,
            },
        }
    }

    pub(crate) fn corrupt(file: &str, offset: u64, what: impl Into<String>) -> Fault {
        Fault::Corrupt {
            file: file.to_string(),
            offset,
            what: what.into(),
            remedy: RESTORE.to_string(),
        }
    }
}

/// A read from segments failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadFault {
    /// The bytes are not what was written. Nothing of the block was served.
    #[error("{file} is corrupt at byte {offset}: {what}; {remedy}")]
    Corrupt {
        /// Whose log it is.
        group: GroupId,
        /// The file.
        file: String,
        /// Where the block starts.
        offset: u64,
        /// The first record of the block.
        record: Offset,
        /// What was found.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// The device failed.
    #[error("reading {path} failed: {source}; check the device")]
    Io {
        /// The file.
        path: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The group was removed, or what was planned has been cut off since. Plan again.
    #[error("the group or the entries are gone")]
    Gone,
}
