//! Frames: a length of four bytes and that many bytes. Cuts the stream of a connection into
//! frames however it arrives, reads the header of a request, and writes the frames of answers
//! and requests.

use crate::messages::request_header::RequestHeader;
use crate::messages::response_header::ResponseHeader;
use crate::{ApiKey, Message, Reader, Request, WireError, Writer};
use bytes::buf::Limit;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::collections::VecDeque;

/// Bytes of the length in front of a frame.
pub const LENGTH_BYTES: usize = 4;
/// Room for a frame that has begun, as a multiple of what has arrived of it.
const ROOM_AHEAD: usize = 8;

/// A length that no frame may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Longer than the connection allows.
    #[error("a frame of {length} bytes is announced, {max} are allowed")]
    TooLarge {
        /// What the peer announced.
        length: u32,
        /// What is allowed.
        max: u32,
    },
    /// Below zero.
    #[error("a frame of {0} bytes is announced")]
    Negative(i32),
}

/// Cuts a stream into frames. A frame that arrives within one read is a slice of it; one that
/// is spread over several is put together in memory of just its size, where the rest of it can be
/// read to at once. Memory follows the bytes that arrived, never the length that was announced.
#[derive(Debug)]
pub struct Frames {
    max: u32,
    chunks: VecDeque<Bytes>,
    /// The start of a frame, length included, of which more is to come.
    partial: BytesMut,
    buffered: usize,
}

impl Frames {
    /// For frames of at most `max` bytes.
    pub fn new(max: u32) -> Frames {
        Frames {
            max,
            chunks: VecDeque::new(),
            partial: BytesMut::new(),
            buffered: 0,
        }
    }

    /// Adds what was read. [`Frames::next_frame`] is to be called until it has no more.
    pub fn push(&mut self, chunk: Bytes) {
        if !chunk.is_empty() {
            self.buffered += chunk.len();
            self.chunks.push_back(chunk);
        }
    }

    /// Lets the rest of a frame that has begun be read to its place; `read` gets a buffer that
    /// ends where the frame ends, or before. None if no frame has begun, or its length isn't
    /// known yet.
    pub fn fill<T>(&mut self, read: impl FnOnce(&mut Limit<&mut BytesMut>) -> T) -> Option<T> {
        let whole = LENGTH_BYTES + self.announced(&self.partial).ok()??;
        let known = self.partial.len();
        if known == self.partial.capacity() {
            self.make_room(whole.min(known.saturating_mul(ROOM_AHEAD)));
        }
        let room = whole.min(self.partial.capacity()) - known;
        if room == 0 || !self.chunks.is_empty() {
            return None;
        }
        let read = read(&mut (&mut self.partial).limit(room));
        self.buffered += self.partial.len() - known;
        Some(read)
    }

    /// Bytes that are held.
    pub fn buffered(&self) -> usize {
        self.buffered
    }

    /// The next whole frame without its length. After an error the stream can't be read on.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        if let Some(frame) = self.collect(&mut Bytes::new())? {
            return Ok(Some(self.cut(frame, Bytes::new())));
        }
        while let Some(mut chunk) = self.chunks.pop_front() {
            if self.partial.is_empty()
                && let Some(length) = self.announced(&chunk)?
                && chunk.len() >= LENGTH_BYTES + length
            {
                chunk.advance(LENGTH_BYTES);
                let frame = chunk.split_to(length);
                return Ok(Some(self.cut(frame, chunk)));
            }
            if let Some(frame) = self.collect(&mut chunk)? {
                return Ok(Some(self.cut(frame, chunk)));
            }
        }
        Ok(None)
    }

    /// Counts `frame` as gone and keeps what follows it.
    fn cut(&mut self, frame: Bytes, rest: Bytes) -> Bytes {
        self.buffered -= LENGTH_BYTES + frame.len();
        if !rest.is_empty() {
            self.chunks.push_front(rest);
        }
        frame
    }

    /// Takes from `chunk` what the frame that is being put together lacks.
    fn collect(&mut self, chunk: &mut Bytes) -> Result<Option<Bytes>, FrameError> {
        let lacking = LENGTH_BYTES
            .saturating_sub(self.partial.len())
            .min(chunk.len());
        self.partial.extend_from_slice(&chunk.split_to(lacking));
        let Some(length) = self.announced(&self.partial)? else {
            return Ok(None);
        };
        let whole = LENGTH_BYTES + length;
        let take = (whole - self.partial.len()).min(chunk.len());
        let arrived = self.partial.len() + take;
        self.make_room(whole.min(arrived.saturating_mul(ROOM_AHEAD)));
        self.partial.extend_from_slice(&chunk.split_to(take));
        if self.partial.len() < whole {
            return Ok(None);
        }
        let mut frame = std::mem::take(&mut self.partial).freeze();
        frame.advance(LENGTH_BYTES);
        Ok(Some(frame))
    }

    /// Room for this many bytes and no more: the frame may stay in memory for long.
    fn make_room(&mut self, bytes: usize) {
        if self.partial.capacity() < bytes {
            let mut roomier = BytesMut::with_capacity(bytes);
            roomier.extend_from_slice(&self.partial);
            self.partial = roomier;
        }
    }

    /// The length at the start of `bytes`, if all of it is there.
    fn announced(&self, bytes: &[u8]) -> Result<Option<usize>, FrameError> {
        let Some(length) = bytes.first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let length = i32::from_be_bytes(*length);
        let unsigned = u32::try_from(length).map_err(|_| FrameError::Negative(length))?;
        if unsigned > self.max {
            return Err(FrameError::TooLarge {
                length: unsigned,
                max: self.max,
            });
        }
        Ok(Some(unsigned as usize))
    }
}

/// The header of a request, as far as it can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// The key as it was sent.
    pub key: i16,
    /// The API of that key, if there is one.
    pub api: Option<ApiKey>,
    /// The version as it was sent.
    pub version: i16,
    /// To be repeated in the answer.
    pub correlation_id: i32,
    /// What the client calls itself. `None` also where the header's form isn't known.
    pub client_id: Option<String>,
}

impl RequestHead {
    /// Reads the header and leaves the reader at the request. An API or version without a
    /// definition is no error here, so that it can be answered: then only the part that every
    /// header has is certain, and a request can't be read.
    pub fn decode(reader: &mut Reader) -> Result<RequestHead, WireError> {
        let mut ahead = reader.clone();
        let key = ahead.i16()?;
        let version = ahead.i16()?;
        let correlation_id = ahead.i32()?;
        let mut head = RequestHead {
            key,
            api: ApiKey::from_code(key),
            version,
            correlation_id,
            client_id: None,
        };
        let Some(api) = head.api else { return Ok(head) };
        match RequestHeader::decode(api.request_header_version(version), reader) {
            Ok(header) => head.client_id = header.client_id,
            Err(error) if api.versions().contains(&version) => return Err(error),
            Err(_) => {}
        }
        Ok(head)
    }
}

/// A writer of the frame of a response, its header already written.
pub fn response(api: ApiKey, version: i16, correlation_id: i32) -> Writer {
    let mut writer = Writer::framed();
    ResponseHeader { correlation_id }.encode(api.response_header_version(version), &mut writer);
    writer
}

/// The frame of a response as the pieces to be sent.
pub fn respond<M: Message>(api: ApiKey, version: i16, correlation_id: i32, body: &M) -> Vec<Bytes> {
    let mut writer = response(api, version, correlation_id);
    body.encode(version, &mut writer);
    writer.finish()
}

/// The frame of a request as the pieces to be sent.
pub fn request<R: Request>(
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
    body: &R,
) -> Vec<Bytes> {
    let mut writer = Writer::framed();
    let header = RequestHeader {
        request_api_key: R::API.code(),
        request_api_version: version,
        correlation_id,
        client_id: client_id.map(String::from),
    };
    header.encode(R::API.request_header_version(version), &mut writer);
    body.encode(version, &mut writer);
    writer.finish()
}

/// Reads the header of a response to a request of `version`; gives the correlation id and
/// leaves the reader at the response.
pub fn response_head(api: ApiKey, version: i16, reader: &mut Reader) -> Result<i32, WireError> {
    let header = ResponseHeader::decode(api.response_header_version(version), reader)?;
    Ok(header.correlation_id)
}

#[cfg(test)]
mod tests;
