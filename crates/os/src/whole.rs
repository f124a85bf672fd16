//! Syncing a whole filesystem: one call for however many files, and the device flushes its cache
//! once. Only where an error of the device comes out of it for certain.

use rustix::fs::{FsWord, fstat, fstatfs, stat, syncfs};
use rustix::system::uname;
use std::fs::File;
use std::io;
use std::path::Path;

/// Since this version the kernel tells of errors that it met while it wrote files.
const TELLS_SINCE: (u32, u32) = (5, 8);
/// ext2 to ext4, and XFS: filesystems on devices, whose kernel code does all of the writing. One
/// over another filesystem, or over a process, may not hear of an error.
const TELL: [FsWord; 2] = [0xEF53, 0x5846_5342];

/// A filesystem.
pub(crate) struct Whole {
    /// The kernel tells of each error since this was opened.
    root: File,
}

impl Whole {
    /// The filesystem that a directory is on; none if it might not tell of an error.
    pub(crate) fn of(root: &Path) -> io::Result<Option<Whole>> {
        let root = File::open(root)?;
        let tells = TELL.contains(&fstatfs(&root)?.f_type)
            && version(uname().release().to_bytes()).is_some_and(|v| v >= TELLS_SINCE);
        Ok(tells.then_some(Whole { root }))
    }

    /// Syncs it, unless the directory is on another one.
    pub(crate) fn sync(&self, dir: &Path) -> io::Result<bool> {
        if stat(dir)?.st_dev != fstat(&self.root)?.st_dev {
            return Ok(false);
        }
        syncfs(&self.root)?;
        Ok(true)
    }
}

/// Of a release like `6.1.0-13-amd64`.
fn version(release: &[u8]) -> Option<(u32, u32)> {
    let mut numbers = std::str::from_utf8(release).ok()?.split(['.', '-']);
    let mut number = || numbers.next()?.parse().ok();
    Some((number()?, number()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_kernels_are_compared_by_number() {
        assert_eq!(version(b"6.1.0-13-amd64"), Some((6, 1)));
        assert_eq!(version(b"5.15-generic"), Some((5, 15)));
        assert!(version(b"5.10.2") > Some(TELLS_SINCE));
        assert!(version(b"5.7.19") < Some(TELLS_SINCE));
        assert_eq!(version(b"unknown"), None);
    }
}
