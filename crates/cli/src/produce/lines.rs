//! Lines of a file or of standard input. A thread reads them, so that what was typed goes out
//! when the input pauses and not only when a batch is full.

use crate::client::Trouble;
use bytes::Bytes;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Lines that are read ahead at most, and bytes of them; one line is in any case.
const AHEAD: usize = 4096;
const AHEAD_BYTES: usize = 16 * 1024 * 1024;
/// Longest line; a record has to fit a batch.
const LINE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// A pause of the input after which gathered records go out.
const PAUSE: Duration = Duration::from_millis(5);
/// How long who has nothing gathered waits until it is asked what to do.
const LONG_PAUSE: Duration = Duration::from_millis(100);

/// The lines of an input.
#[derive(Debug)]
pub struct Lines {
    lines: Receiver<io::Result<Bytes>>,
    ahead: Arc<Ahead>,
    name: String,
}

/// One line is read in any case, however large.
fn fits(ahead: usize, more: usize) -> bool {
    ahead == 0 || ahead + more <= AHEAD_BYTES
}

/// Bytes of lines that were read and that nobody has taken yet.
#[derive(Debug, Default)]
struct Ahead {
    bytes: Mutex<usize>,
    taken: Condvar,
}

impl Ahead {
    /// Waits until there is room beside what was read before.
    fn read(&self, bytes: usize) {
        let full = |ahead: &mut usize| !fits(*ahead, bytes);
        let ahead = self.bytes.lock().expect("nobody panics while counting");
        let ahead = self.taken.wait_while(ahead, full);
        *ahead.expect("nobody panics while counting") += bytes;
    }

    fn take(&self, bytes: usize) {
        *self.bytes.lock().expect("nobody panics while counting") -= bytes;
        self.taken.notify_one();
    }
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// A line without its end.
    Line(Bytes),
    /// Nothing at the moment.
    Idle,
    /// Nothing any more.
    End,
}

impl Lines {
    /// Opens a file, or standard input.
    pub fn open(path: Option<&Path>) -> Result<Lines, Trouble> {
        match path {
            None => Ok(Lines::read(io::stdin(), "standard input".into())),
            Some(path) => {
                let name = path.display().to_string();
                let file = File::open(path).map_err(|e| Trouble::Input {
                    what: format!("can't open {name}: {e}"),
                })?;
                Ok(Lines::read(file, name))
            }
        }
    }

    /// Reads on in a thread.
    pub fn read(input: impl Read + Send + 'static, name: String) -> Lines {
        let (sender, lines) = sync_channel(AHEAD);
        let ahead = Arc::new(Ahead::default());
        let counted = Arc::clone(&ahead);
        let input = BufReader::with_capacity(1 << 16, input);
        // It ends with its input, or with the process.
        std::thread::spawn(move || forward(input, &counted, &sender));
        Lines { lines, ahead, name }
    }

    /// The next line. Waits a while for it, with `gathered` only for a moment.
    pub fn next(&mut self, gathered: bool) -> Result<Next, Trouble> {
        let patience = if gathered { PAUSE } else { LONG_PAUSE };
        match self.lines.recv_timeout(patience) {
            Ok(Ok(line)) => {
                self.ahead.take(line.len());
                Ok(Next::Line(line))
            }
            Ok(Err(e)) => Err(Trouble::Input {
                what: format!("can't read {}: {e}", self.name),
            }),
            Err(RecvTimeoutError::Timeout) => Ok(Next::Idle),
            Err(RecvTimeoutError::Disconnected) => Ok(Next::End),
        }
    }
}

fn forward(mut input: impl BufRead, ahead: &Ahead, lines: &SyncSender<io::Result<Bytes>>) {
    loop {
        let mut line = Vec::new();
        let read = (&mut input)
            .take(LINE_BYTES_MAX + 1)
            .read_until(b'\n', &mut line);
        let next = match read {
            Ok(0) => return,
            Ok(read) if read as u64 > LINE_BYTES_MAX => Err(io::Error::other(format!(
                "a line has more than {LINE_BYTES_MAX} bytes"
            ))),
            Ok(_) => Ok(without_end(line)),
            Err(error) => Err(error),
        };
        let failed = next.is_err();
        ahead.read(next.as_ref().map_or(0, Bytes::len));
        if lines.send(next).is_err() || failed {
            return;
        }
    }
}

fn without_end(mut line: Vec<u8>) -> Bytes {
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    }
    line.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes next, however long the thread takes that reads it.
    fn next(lines: &mut Lines) -> Next {
        loop {
            match lines.next(false).expect("readable") {
                Next::Idle => {}
                next => return next,
            }
        }
    }

    #[test]
    fn lines_come_without_their_ends_and_the_last_needs_none() {
        let mut lines = Lines::read(&b"one\r\n\ntwo\rx\nlast"[..], "test".into());
        let mut seen = Vec::new();
        while let Next::Line(line) = next(&mut lines) {
            seen.push(line);
        }
        assert_eq!(seen, ["one", "", "two\rx", "last"]);
    }

    #[test]
    fn large_lines_are_read_ahead_as_far_as_there_is_room() {
        const LINE: usize = 9 * 1024 * 1024;
        assert!(fits(0, AHEAD_BYTES + 1) && fits(LINE, AHEAD_BYTES - LINE));
        assert!(!fits(LINE, LINE));
        // Who takes them lets the others in.
        let line = || io::repeat(b'v').take(LINE as u64).chain(&b"\n"[..]);
        let mut lines = Lines::read(line().chain(line()).chain(line()), "test".into());
        for _ in 0..3 {
            let next = next(&mut lines);
            assert!(matches!(next, Next::Line(line) if line.len() == LINE));
        }
        assert_eq!(next(&mut lines), Next::End);
        assert_eq!(*lines.ahead.bytes.lock().expect("no panic"), 0);
    }
}
