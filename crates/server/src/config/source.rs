//! Where a configuration value was given, for the one who has to correct it.

use std::fmt;

/// A place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A file, by the name that was given.
    File(String),
    /// An environment variable.
    Environment(String),
    /// The command line.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(name) => write!(f, "file {name}"),
            Source::Environment(name) => write!(f, "environment {name}"),
            Source::Flag(name) => write!(f, "{name}"),
        }
    }
}

/// A value as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
    /// Where.
    pub source: Source,
}

impl Given {
    /// A value given somewhere.
    pub fn new(key: impl Into<String>, value: impl Into<String>, source: Source) -> Given {
        Given {
            key: key.into(),
            value: value.into(),
            source,
        }
    }
}
