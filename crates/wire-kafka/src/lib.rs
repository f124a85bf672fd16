//! Floor 1: the Kafka wire format: generated messages, headers, compression, the segmented fetch answer.
//!
//! Pure: bytes in, values out, and back. [`messages`] is generated from Kafka's definitions by
//! `cargo xtask codegen`; [`Reader`] and [`Writer`] are what it is built on; [`frame`] cuts a
//! stream of bytes into requests and writes the frames of answers; [`compress`] packs and
//! unpacks the records of a batch.

mod api;
pub mod compress;
mod error;
pub mod frame;
mod generated;
pub mod message;
mod reader;
mod records;
mod writer;

#[cfg(test)]
mod dream;
#[cfg(test)]
mod tests;

/// The messages, a module each: `messages::produce_request::ProduceRequest`.
pub mod messages {
    pub use crate::generated::*;
}

pub use error::WireError;
pub use message::{Message, Request};
pub use messages::api_key::ApiKey;
pub use reader::{DECODED_BYTES_FLOOR, DECODED_BYTES_PER_BYTE, Reader};
pub use records::{Piece, Records};
pub use writer::{SPLICE_BYTES, Tags, Writer};
