//! One connection to one node: frames out, frames in, in order. Which version a call is made in
//! comes from what the node says it speaks.

use crate::client::call::Call;
use crate::client::{Code, Deadline, Trouble};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;
use wire_kafka::messages::api_versions_request::ApiVersionsRequest;
use wire_kafka::messages::api_versions_response::ApiVersionsResponse;
use wire_kafka::{ApiKey, Message, Reader, frame};

/// Largest answer a client takes.
const ANSWER_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Longest wait for one connection to come about.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How the tool names itself to the node.
const CLIENT_ID: &str = "flotilla-cli";

/// A connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    address: String,
    next: i32,
    spoken: BTreeMap<i16, (i16, i16)>,
}

/// A call that was sent and is to be answered.
#[derive(Debug)]
pub struct Sent {
    correlation: i32,
    version: i16,
}

impl Connection {
    /// Connects and asks what is spoken there.
    pub fn open(address: &str, deadline: Deadline) -> Result<Connection, Trouble> {
        let stream = connect(address, deadline.within(CONNECT_MAX)).map_err(|source| {
            Trouble::Unreachable {
                address: address.into(),
                source,
            }
        })?;
        let mut connection = Connection {
            stream,
            address: address.into(),
            next: 1,
            spoken: BTreeMap::new(),
        };
        // Whoever takes connections and says nothing, frozen or just starting, isn't waited for for long: others
        // may answer.
        let answer = connection.ask_versions(deadline.within(CONNECT_MAX))?;
        let ranges = answer
            .api_keys
            .iter()
            .map(|api| (api.api_key, (api.min_version, api.max_version)));
        connection.spoken = ranges.collect();
        Ok(connection)
    }

    /// Where it leads.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Makes a call and waits for its answer.
    pub fn call<C: Call>(&mut self, call: &C, deadline: Deadline) -> Result<C::Response, Trouble> {
        let sent = self.send(call, deadline)?;
        self.receive::<C>(sent, deadline)
    }

    /// Sends a call; its answer is fetched by [`Connection::receive`], in the same order.
    pub fn send<C: Call>(&mut self, call: &C, deadline: Deadline) -> Result<Sent, Trouble> {
        let version = self.version::<C>()?;
        self.send_as(call, version, deadline)
    }

    fn send_as<C: Call>(
        &mut self,
        call: &C,
        version: i16,
        deadline: Deadline,
    ) -> Result<Sent, Trouble> {
        let correlation = self.next;
        self.next = self.next.wrapping_add(1);
        let pieces = frame::request(version, correlation, Some(CLIENT_ID), call);
        let timed = self.stream.set_write_timeout(deadline.left());
        let written = timed.and_then(|()| {
            pieces
                .iter()
                .try_for_each(|piece| self.stream.write_all(piece))
        });
        written.map_err(|e| self.broken(e))?;
        Ok(Sent {
            correlation,
            version,
        })
    }

    /// Waits for the answer to a call.
    pub fn receive<C: Call>(
        &mut self,
        sent: Sent,
        deadline: Deadline,
    ) -> Result<C::Response, Trouble> {
        let frame = self.frame(deadline)?;
        self.decode::<C::Response>(C::API, sent.correlation, sent.version, frame)
    }

    fn decode<A: Message>(
        &self,
        api: ApiKey,
        correlation: i32,
        version: i16,
        frame: Bytes,
    ) -> Result<A, Trouble> {
        let mut reader = Reader::new(frame);
        let answered = frame::response_head(api, version, &mut reader)
            .map_err(|e| self.garbled(e.to_string()))?;
        if answered != correlation {
            return Err(self.garbled(format!("it answers call {answered}, not {correlation}")));
        }
        A::decode(version, &mut reader).map_err(|e| self.garbled(e.to_string()))
    }

    fn version<C: Call>(&self) -> Result<i16, Trouble> {
        let missing = || Trouble::Missing {
            address: self.address.clone(),
            call: C::API.name(),
        };
        let (low, high) = *self.spoken.get(&C::API.code()).ok_or_else(missing)?;
        let version = high.min(C::NEWEST);
        if version < low.max(C::OLDEST) {
            Err(missing())
        } else {
            Ok(version)
        }
    }

    /// Asks in the newest version; a node that doesn't know it says so in version 0.
    fn ask_versions(&mut self, deadline: Deadline) -> Result<ApiVersionsResponse, Trouble> {
        let question = ApiVersionsRequest {
            client_software_name: "flotilla".into(),
            client_software_version: env!("CARGO_PKG_VERSION").into(),
        };
        let mut version = ApiVersionsRequest::NEWEST;
        loop {
            let sent = self.send_as(&question, version, deadline)?;
            let frame = self.frame(deadline)?;
            let api = ApiKey::ApiVersions;
            let answer = self
                .decode::<ApiVersionsResponse>(api, sent.correlation, version, frame.clone())
                .or_else(|_| self.decode(api, sent.correlation, 0, frame))?;
            match Code(answer.error_code) {
                Code::NONE => return Ok(answer),
                Code::UNSUPPORTED_VERSION if version > 0 => version = 0,
                code => return Err(Trouble::refused("asking for versions", code, None)),
            }
        }
    }

    fn frame(&mut self, deadline: Deadline) -> Result<Bytes, Trouble> {
        let mut length = [0; 4];
        self.fill(&mut length, deadline)?;
        let length = usize::try_from(i32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > ANSWER_BYTES_MAX {
            return Err(self.garbled(format!("it announces {length} bytes")));
        }
        let mut frame = vec![0; length];
        self.fill(&mut frame, deadline)?;
        Ok(frame.into())
    }

    fn fill(&mut self, mut buffer: &mut [u8], deadline: Deadline) -> Result<(), Trouble> {
        while !buffer.is_empty() {
            let Some(left) = deadline.left() else {
                return Err(self.broken(io::Error::new(ErrorKind::TimedOut, "no answer in time")));
            };
            let read = self
                .stream
                .set_read_timeout(Some(left))
                .and_then(|()| self.stream.read(buffer));
            match read {
                Ok(0) => {
                    return Err(
                        self.broken(io::Error::new(ErrorKind::UnexpectedEof, "it was closed"))
                    );
                }
                Ok(count) => buffer = &mut buffer[count..],
                Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
                Err(e) => return Err(self.broken(e)),
            }
        }
        Ok(())
    }

    fn broken(&self, source: io::Error) -> Trouble {
        Trouble::Broken {
            address: self.address.clone(),
            source,
        }
    }

    fn garbled(&self, what: String) -> Trouble {
        Trouble::Garbled {
            address: self.address.clone(),
            what,
        }
    }
}

/// Tries every address that the name has.
fn connect(address: &str, deadline: Deadline) -> io::Result<TcpStream> {
    let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for candidate in address.to_socket_addrs()? {
        let left = deadline
            .left()
            .ok_or_else(|| io::Error::from(ErrorKind::TimedOut))?;
        match TcpStream::connect_timeout(&candidate, left) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
