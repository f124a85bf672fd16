//! A connection to a broker that never waits, unless it is asked to.

use bytes::Bytes;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use wire_kafka::frame::{self, Frames};
use wire_kafka::{Reader, Request};

const ANSWER_BYTES_MAX: u32 = 64 * 1024 * 1024;
/// Who waits for an answer waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Link {
    stream: TcpStream,
    frames: Frames,
}

impl Link {
    pub fn connect(address: &str) -> io::Result<Link> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Link {
            stream,
            frames: Frames::new(ANSWER_BYTES_MAX),
        })
    }

    pub fn send<R: Request>(&mut self, version: i16, request: &R) -> io::Result<()> {
        let bytes = frame::request(version, 1, Some("group-load"), request).concat();
        self.stream.write_all(&bytes)
    }

    /// The next answer, if it is there.
    pub fn poll(&mut self) -> io::Result<Option<Bytes>> {
        let mut scratch = [0; 16 * 1024];
        loop {
            if let Some(answer) = self.frames.next_frame().map_err(io::Error::other)? {
                return Ok(Some(answer));
            }
            match self.stream.read(&mut scratch) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.frames.push(Bytes::copy_from_slice(&scratch[..count])),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(e) => return Err(e),
            }
        }
    }

    /// Waits for the answer.
    pub fn ask<R: Request>(&mut self, version: i16, request: &R) -> io::Result<R::Response> {
        self.stream.set_nonblocking(false)?;
        self.send(version, request)?;
        let answer = self.poll()?.ok_or(io::ErrorKind::TimedOut)?;
        self.stream.set_nonblocking(true)?;
        decoded::<R>(version, answer)
    }
}

pub fn decoded<R: Request>(version: i16, answer: Bytes) -> io::Result<R::Response> {
    use wire_kafka::Message;
    let mut reader = Reader::new(answer);
    let head = frame::response_head(R::API, version, &mut reader);
    head.and_then(|_| R::Response::decode(version, &mut reader))
        .map_err(io::Error::other)
}
