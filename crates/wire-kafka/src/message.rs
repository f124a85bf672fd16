//! What all messages have in common, for code that is generic over them: a client that sends
//! any request, a test that goes through all of them.

use crate::{ApiKey, Reader, WireError, Writer};
use std::fmt::Debug;
use std::ops::RangeInclusive;

/// A message of the protocol.
pub trait Message: Clone + Debug + Default + PartialEq {
    /// Its name.
    const NAME: &'static str;
    /// The versions that can be read and written.
    const VERSIONS: RangeInclusive<i16>;

    /// Reads it as `version` writes it.
    fn decode(version: i16, reader: &mut Reader) -> Result<Self, WireError>;
    /// Writes it as `version` does; fields that the version doesn't have are left out.
    fn encode(&self, version: i16, writer: &mut Writer);
    /// Tells a client how long it has to wait before its next request; messages without a field
    /// for that stay as they are.
    fn throttle(&mut self, ms: i32) {
        let _ = ms;
    }
}

/// A request, which knows its response.
pub trait Request: Message {
    /// The API it calls.
    const API: ApiKey;
    /// What answers it.
    type Response: Message;
}

macro_rules! message {
    ($module:ident::$name:ident, $versions:expr $(, $throttle:ident)?) => {
        impl $crate::Message for $module::$name {
            const NAME: &'static str = stringify!($name);
            const VERSIONS: std::ops::RangeInclusive<i16> = $versions;

            fn decode(version: i16, r: &mut $crate::Reader) -> Result<Self, $crate::WireError> {
                $module::$name::decode(version, r)
            }

            fn encode(&self, version: i16, w: &mut $crate::Writer) {
                $module::$name::encode(self, version, w)
            }

            $(fn throttle(&mut self, ms: i32) {
                self.$throttle = ms;
            })?
        }
    };
}

macro_rules! request {
    ($module:ident::$name:ident, $api:ident, $answers:ident::$response:ident) => {
        impl $crate::Request for $module::$name {
            const API: $crate::ApiKey = $crate::ApiKey::$api;
            type Response = $answers::$response;
        }
    };
}

pub(crate) use {message, request};
