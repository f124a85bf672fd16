//! Reading from a client's socket so that an idle connection holds no buffer, a small request no
//! more memory than it has bytes, and the most of a large one is not copied.

use bytes::{BufMut, Bytes};
use serve_kafka::Connection;
use std::cell::RefCell;
use std::io::{self, ErrorKind};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Bytes read at once where no request has begun: small ones, or the start of a large one.
const SCRATCH_BYTES: usize = 32 * 1024;

thread_local! {
    /// Of each thread at the edge: no connection keeps it beyond one read.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
}

/// Reads what is there, into the request that has begun or else into the bytes returned. An error
/// of kind `UnexpectedEof` is the end of the stream, one of kind `WouldBlock` means that there is
/// nothing yet.
pub fn read(stream: &TcpStream, connection: &mut Connection) -> io::Result<Bytes> {
    let filled = connection.fill(|rest| {
        let room = rest.chunk_mut().len();
        stream.try_read_buf(rest).map(|count| (count, room))
    });
    let ((count, room), bytes) = match filled {
        Some(count) => (count?, Bytes::new()),
        None => SCRATCH.with_borrow_mut(|scratch| {
            let count = stream.try_read(scratch)?;
            let bytes = Bytes::copy_from_slice(&scratch[..count]);
            io::Result::Ok(((count, scratch.len()), bytes))
        })?,
    };
    if count == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    if count < room {
        note_empty(stream);
    }
    Ok(bytes)
}

/// A read that didn't fill its room has taken all that there was; the system needn't be asked
/// again to say so. What comes from now on is announced anew: the runtime hears of edges, and
/// only on this thread, so none that it has heard of is forgotten here. The end of the stream it
/// remembers.
fn note_empty(stream: &TcpStream) {
    let nothing = || Err::<(), _>(ErrorKind::WouldBlock.into());
    let _ = stream.try_io(Interest::READABLE, nothing);
}
