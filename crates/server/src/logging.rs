//! The node's own messages: to standard error or to a file that is put aside when it is large or
//! old, for people or for machines. What is said is not decided here.

mod repeats;

pub use repeats::LINE;

use crate::config;
use base::Mono;
use broker::settings::Logging;
use repeats::Repeats;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex};
use tracing_subscriber::fmt::layer;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{EnvFilter, registry};

/// A file of messages can't be written.
#[derive(Debug, thiserror::Error)]
#[error("can't write messages to {path}: {source}; give another file as logging.file")]
pub struct LogFileError {
    path: String,
    source: io::Error,
}

/// From here on messages go where the configuration says.
pub fn start(logging: &Logging) -> Result<(), LogFileError> {
    let filter = EnvFilter::try_from_env(config::LOG).unwrap_or_else(|_| EnvFilter::new("info"));
    let (writer, colours) = match &logging.file {
        None => (BoxMakeWriter::new(io::stderr), io::stderr().is_terminal()),
        Some(path) => {
            let file = Rotating::open(path.into(), logging).map_err(|source| LogFileError {
                path: path.clone(),
                source,
            })?;
            (BoxMakeWriter::new(Mutex::new(file)), false)
        }
    };
    let messages = layer().with_writer(writer).with_ansi(colours);
    let messages = if logging.json {
        messages.json().flatten_event(true).boxed()
    } else {
        messages.boxed()
    };
    let messages = messages.with_filter(&*REPEATS);
    registry().with(filter).with(messages).init();
    Ok(())
}

/// What was said lately, so that nothing is said too often.
static REPEATS: LazyLock<Repeats> = LazyLock::new(Repeats::default);

/// Says now and then what wasn't written because it repeated itself. Doesn't end.
pub async fn tell_repeats() {
    REPEATS.tell().await;
}

/// A file that is put aside as `NAME.1` when it is large or old, `NAME.1` as `NAME.2` and so on.
struct Rotating {
    path: PathBuf,
    file: File,
    bytes: u64,
    since: Mono,
    limits: Logging,
}

impl Rotating {
    fn open(path: PathBuf, limits: &Logging) -> io::Result<Rotating> {
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        Ok(Rotating {
            bytes: file.metadata()?.len(),
            path,
            file,
            since: os::clock::mono(),
            limits: limits.clone(),
        })
    }

    fn is_full(&self, more: usize) -> bool {
        let large = self.bytes + more as u64 > self.limits.file_bytes;
        let old = os::clock::mono().since(self.since) >= self.limits.file_time;
        self.bytes > 0 && (large || old)
    }

    fn put_aside(&mut self) -> io::Result<()> {
        let name = |number: usize| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        match fs::rename(&self.path, name(0)) {
            Ok(()) => {
                for number in (0..self.limits.files_max).rev() {
                    // Not all of them are there yet.
                    let _ = fs::rename(name(number), name(number + 1));
                }
            }
            // Somebody else took it away: nothing is to be put aside.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // The kept ones stay what they are.
            Err(error) => return Err(error),
        }
        *self = Rotating::open(self.path.clone(), &self.limits)?;
        Ok(())
    }
}

impl Write for Rotating {
    /// A message is written whole into one file. Where that fails it is lost: a node doesn't stop
    /// for its messages.
    fn write(&mut self, message: &[u8]) -> io::Result<usize> {
        if self.is_full(message.len()) {
            // If it can't be put aside the file goes on growing, and the next message tries again.
            let _ = self.put_aside();
        }
        if self.file.write_all(message).is_ok() {
            self.bytes += message.len() as u64;
        }
        Ok(message.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;
    use std::time::Duration;

    /// Files of eight bytes, two of which are kept.
    fn small() -> Logging {
        Logging {
            file: None,
            json: false,
            file_bytes: 8,
            file_time: Duration::from_secs(3600),
            files_max: 2,
        }
    }

    #[test]
    fn a_large_file_is_put_aside_and_the_oldest_one_goes() {
        let scratch = Scratch::new();
        let path = scratch.join("node.log");
        let mut file = Rotating::open(path.clone(), &small()).expect("a file");
        for message in ["aaaa\n", "bb\n", "cccc\n", "dddddddddddd\n"] {
            file.write_all(message.as_bytes()).expect("written");
        }
        drop(file);
        // A restart goes on where the last run ended.
        let mut file = Rotating::open(path.clone(), &small()).expect("a file");
        file.write_all(b"e\n").expect("written");
        let read = |end: &str| fs::read_to_string(format!("{}{end}", path.display())).ok();
        assert_eq!(read("").as_deref(), Some("e\n"));
        assert_eq!(read(".1").as_deref(), Some("dddddddddddd\n"));
        assert_eq!(read(".2").as_deref(), Some("cccc\n"));
        assert_eq!(read(".3"), None);
    }

    #[test]
    fn a_file_that_somebody_took_away_is_begun_anew_and_the_others_are_kept() {
        let scratch = Scratch::new();
        let path = scratch.join("node.log");
        let mut file = Rotating::open(path.clone(), &small()).expect("a file");
        let mut write = |message: &str| file.write_all(message.as_bytes()).expect("written");
        ["aaaaa\n", "bbbbb\n", "ccccc\n"]
            .iter()
            .for_each(|message| write(message));
        fs::remove_file(&path).expect("it is there");
        ["ddddd\n", "eeeee\n"]
            .iter()
            .for_each(|message| write(message));
        let read = |end: &str| fs::read_to_string(format!("{}{end}", path.display())).ok();
        assert_eq!(read("").as_deref(), Some("eeeee\n"));
        assert_eq!(read(".1").as_deref(), Some("ddddd\n"));
        assert_eq!(read(".2").as_deref(), Some("bbbbb\n"));
        assert_eq!((read(".0"), read(".3")), (None, None));
    }
}
