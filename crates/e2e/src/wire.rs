//! Kafka's protocol without a client: one request, and its answer. What the tests say that no client says.

use bytes::Bytes;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use wire_kafka::{Message, Reader, Request, frame};

/// Asks and waits for the answer.
pub fn ask<R: Request>(stream: &mut TcpStream, version: i16, body: &R) -> io::Result<R::Response> {
    stream.write_all(&frame::request(version, 1, Some("test"), body).concat())?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer)?;
    let mut reader = Reader::new(Bytes::from(answer));
    let head = frame::response_head(R::API, version, &mut reader);
    head.and_then(|_| R::Response::decode(version, &mut reader))
        .map_err(io::Error::other)
}
