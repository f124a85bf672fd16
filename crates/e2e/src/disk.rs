//! Disks that get in a node's way: small ones that somebody else fills, and syncs that are slow or
//! fail. Both need something of the machine (the right to mount, a C compiler), and say so if they
//! don't get it.

use crate::Setup;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = include_str!("disturbed_sync.c");
/// What fills a disk is written in pieces of so many bytes.
const PIECE: usize = 16 * 1024 * 1024;

/// A file system in memory, gone with this.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one of so many mebibytes; none without the right to.
    pub fn mount(place: &Path, mebibytes: u32) -> Option<SmallDisk> {
        fs::create_dir_all(place).ok()?;
        let size = format!("size={mebibytes}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(place);
        let mounted = mount.output().ok()?.status.success();
        mounted.then(|| SmallDisk(place.to_owned()))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Fills it to the last block.
    pub fn fill(&self) {
        let piece = vec![1; PIECE];
        let mut ballast = File::create(self.ballast()).expect("a name needs no block");
        while ballast.write_all(&piece).is_ok() {}
    }

    /// Fills it but for so many bytes.
    pub fn fill_but(&self, bytes: u64) {
        self.fill();
        let ballast = File::options().write(true).open(self.ballast());
        let ballast = ballast.expect("it was filled");
        let taken = ballast.metadata().expect("it is open").len();
        let cut = ballast.set_len(taken.saturating_sub(bytes));
        cut.expect("it can be shorter");
    }

    /// Gives back what [`SmallDisk::fill`] took.
    pub fn relieve(&self) {
        fs::remove_file(self.ballast()).expect("it was filled");
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Syncs of processes that can be made slow, or fail.
#[derive(Debug)]
pub struct Syncs {
    library: PathBuf,
    place: PathBuf,
}

impl Syncs {
    /// Builds what gets in their way; none without a C compiler that makes libraries.
    pub fn build(place: &Path) -> Option<Syncs> {
        let (source, library) = (place.join("sync.c"), place.join("sync.so"));
        fs::write(&source, SOURCE).ok()?;
        let mut compile = Command::new("cc");
        compile.args(["-shared", "-fPIC", "-o"]).arg(&library);
        compile.arg(&source).arg("-ldl");
        let built = compile.output().ok()?.status.success();
        built.then(|| Syncs {
            library,
            place: place.to_owned(),
        })
    }

    /// A node whose syncs are within reach, under this name.
    pub fn reach(&self, setup: Setup, name: &str) -> Setup {
        let setup = setup.env("LD_PRELOAD", &self.library);
        let setup = setup.env("FAIL_SYNC", &self.trigger("fail", name));
        setup.env("SLOW_SYNC", &self.trigger("slow", name))
    }

    /// Its syncs fail from now on, or work again.
    pub fn fail(&self, name: &str, fails: bool) {
        set(&self.trigger("fail", name), fails.then(String::new));
    }

    /// Its syncs take so many milliseconds longer; 0: they don't.
    pub fn slow(&self, name: &str, ms: u64) {
        set(
            &self.trigger("slow", name),
            (ms > 0).then(|| ms.to_string()),
        );
    }

    fn trigger(&self, what: &str, name: &str) -> PathBuf {
        self.place.join(format!("{what}-{name}"))
    }
}

fn set(path: &Path, content: Option<String>) {
    let done = match content {
        Some(content) => fs::write(path, content),
        None if path.exists() => fs::remove_file(path),
        None => Ok(()),
    };
    done.expect("the directory of the triggers can be written");
}
