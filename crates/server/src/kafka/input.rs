//! Reading from a client's socket so that an idle connection holds no buffer, a small request no
//! more memory than it has bytes, and a stream of large ones is not copied.

use bytes::{Bytes, BytesMut};
use std::cell::RefCell;
use std::io;
use tokio::net::TcpStream;

/// Bytes read at once while little comes.
const SMALL: usize = 32 * 1024;
/// Bytes read at once while much comes.
const LARGE: usize = 512 * 1024;

thread_local! {
    /// Of each worker of the runtime: no connection keeps it beyond one read.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SMALL].into_boxed_slice());
}

/// Remembers whether much comes.
#[derive(Default)]
pub struct Input {
    much: bool,
}

impl Input {
    /// Reads what is there. Empty at the end of the stream, an error of kind `WouldBlock` if there
    /// is nothing yet.
    pub fn read(&mut self, stream: &TcpStream) -> io::Result<Bytes> {
        if self.much {
            let mut buffer = BytesMut::with_capacity(LARGE);
            let count = stream.try_read_buf(&mut buffer)?;
            self.much = count >= SMALL;
            // A buffer that is mostly empty would stay in memory as long as the little in it.
            return Ok(if count >= LARGE / 2 {
                buffer.freeze()
            } else {
                Bytes::copy_from_slice(&buffer)
            });
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let count = stream.try_read(scratch)?;
            self.much = count == scratch.len();
            Ok(Bytes::copy_from_slice(&scratch[..count]))
        })
    }
}
