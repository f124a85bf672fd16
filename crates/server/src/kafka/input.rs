//! Reading from a client's socket so that an idle connection holds no buffer, a small request no
//! more memory than it has bytes, and the most of a large one is not copied.

use bytes::Bytes;
use serve_kafka::Connection;
use std::cell::RefCell;
use std::io::{self, ErrorKind};
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
    let filled = connection.fill(|rest| stream.try_read_buf(rest));
    let (count, bytes) = match filled {
        Some(count) => (count?, Bytes::new()),
        None => SCRATCH.with_borrow_mut(|scratch| {
            let count = stream.try_read(scratch)?;
            io::Result::Ok((count, Bytes::copy_from_slice(&scratch[..count])))
        })?,
    };
    if count == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}
