//! As much HTTP as health and metrics take.

use crate::wait;
use std::io::{Read, Write};
use std::net::TcpStream;

/// Status and body of a GET; none if nobody answers.
pub fn get(address: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(wait::LONG)).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

/// The sum of a node's samples whose lines begin with `start`; none if it has none.
///
/// What a scrape shows was copied a moment before, and what a busy node can't tell in time it leaves
/// out: whoever expects a figure after an event waits for it.
pub fn figure(address: &str, start: &str) -> Option<f64> {
    let (_, body) = get(address, "/metrics")?;
    let samples = body.lines().filter(|line| line.starts_with(start));
    let values = samples.filter_map(|line| line.rsplit(' ').next()?.parse().ok());
    values.reduce(|sum: f64, value| sum + value)
}
