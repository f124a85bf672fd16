//! Questions about an API that its definition answers: names, versions, forms of headers.

use crate::messages::api_key::{ALL, ApiKey, facts};
use std::fmt;
use std::ops::RangeInclusive;

impl ApiKey {
    /// Every API, by key.
    pub fn all() -> &'static [ApiKey] {
        ALL
    }

    /// The API of this key.
    pub fn from_code(code: i16) -> Option<ApiKey> {
        let at = ALL.binary_search_by_key(&code, |api| api.code()).ok()?;
        Some(ALL[at])
    }

    /// The key on the wire.
    pub fn code(self) -> i16 {
        self as i16
    }

    /// Its name, as in Kafka's definitions.
    pub fn name(self) -> &'static str {
        facts(self).name
    }

    /// The versions that have a definition, one that may still change included.
    pub fn versions(self) -> RangeInclusive<i16> {
        facts(self).min..=facts(self).max
    }

    /// The versions whose definition doesn't change any more.
    pub fn stable_versions(self) -> RangeInclusive<i16> {
        let facts = facts(self);
        facts.min..=facts.max - i16::from(facts.unstable)
    }

    /// The first flexible version.
    pub fn flexible_from(self) -> Option<i16> {
        facts(self).flexible
    }

    /// True for versions with compact lengths and tagged fields.
    pub fn is_flexible(self, version: i16) -> bool {
        self.flexible_from().is_some_and(|from| version >= from)
    }

    /// The version of the header in front of a request. ControlledShutdown's first version had
    /// a header without a client id.
    pub fn request_header_version(self, version: i16) -> i16 {
        match self {
            ApiKey::ControlledShutdown if version == 0 => 0,
            _ if self.is_flexible(version) => 2,
            _ => 1,
        }
    }

    /// The version of the header in front of a response. That of ApiVersions never changes,
    /// since its reader doesn't know yet what the server speaks.
    pub fn response_header_version(self, version: i16) -> i16 {
        match self {
            ApiKey::ApiVersions => 0,
            _ => i16::from(self.is_flexible(version)),
        }
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
