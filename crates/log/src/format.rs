//! The file `FORMAT`: which version of the formats a data directory has. Written first of all.

use crate::checkpoint::{read_file, write_file};
use crate::fault::Fault;
use crate::wal;
use base::Disk;

const PATH: &str = "FORMAT";
const NEW_PATH: &str = "FORMAT.new";
const PREFIX: &str = "flotilla data directory, format ";
const VERSION: u32 = 1;

/// Checks the version; a new directory is given one.
pub(crate) fn check(disk: &dyn Disk) -> Result<(), Fault> {
    match read_file(disk, PATH)? {
        Some(text) => check_text(&text),
        None if disk.list(wal::DIR).is_ok_and(|names| !names.is_empty()) => Err(Fault::corrupt(
            PATH,
            0,
            "the file is missing, but there is data",
        )),
        None => write_file(
            disk,
            PATH,
            NEW_PATH,
            &[format!("{PREFIX}{VERSION}\n").as_bytes()],
        ),
    }
}

fn check_text(text: &[u8]) -> Result<(), Fault> {
    let number = std::str::from_utf8(text).ok().and_then(|text| {
        text.strip_prefix(PREFIX)?
            .strip_suffix('\n')?
            .parse::<u32>()
            .ok()
    });
    match number {
        Some(VERSION) => Ok(()),
        Some(found) if found > VERSION => Err(Fault::NewerFormat {
            found,
            known: VERSION,
        }),
        _ => Err(Fault::corrupt(PATH, 0, "it doesn't say a format's version")),
    }
}
