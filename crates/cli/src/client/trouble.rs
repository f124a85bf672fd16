//! What can go wrong, in words for people: the cause, and what to do about it.

use crate::client::Code;
use std::fmt;
use std::io;

/// Why a command didn't do what it was asked.
#[derive(Debug)]
pub enum Trouble {
    /// The command line asks for something that can't be.
    Usage {
        /// What.
        what: String,
    },
    /// No connection could be made.
    Unreachable {
        /// Where to.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// A connection broke or fell silent.
    Broken {
        /// With whom.
        address: String,
        /// How.
        source: io::Error,
    },
    /// An answer makes no sense.
    Garbled {
        /// From whom.
        address: String,
        /// What is wrong with it.
        what: String,
    },
    /// The cluster said no.
    Refused {
        /// To what.
        what: String,
        /// Its reason.
        code: Code,
        /// Its words, if any.
        message: Option<String>,
    },
    /// The other side doesn't offer a call at all.
    Missing {
        /// Who.
        address: String,
        /// The call.
        call: &'static str,
    },
    /// Still not done at the deadline.
    TimedOut {
        /// What.
        what: String,
        /// The last obstacle.
        last: Option<Box<Trouble>>,
    },
    /// The input can't be read or used.
    Input {
        /// What is wrong.
        what: String,
    },
    /// What was looked at isn't as it should be.
    Unhealthy {
        /// What was found.
        what: String,
    },
    /// The output can't be written.
    Output(io::Error),
}

impl Trouble {
    /// The refusal of `what`.
    pub fn refused(what: impl Into<String>, code: Code, message: Option<String>) -> Trouble {
        Trouble::Refused {
            what: what.into(),
            code,
            message,
        }
    }

    /// True if another attempt may succeed.
    pub fn is_retriable(&self) -> bool {
        match self {
            Trouble::Unreachable { .. } | Trouble::Broken { .. } => true,
            Trouble::Refused { code, .. } => code.is_retriable(),
            _ => false,
        }
    }

    /// True if what was asked for may have been done, or may be done yet.
    pub fn leaves_open(&self) -> bool {
        match self {
            Trouble::Broken { .. } => true,
            Trouble::Refused { code, .. } => *code == Code::REQUEST_TIMED_OUT,
            _ => false,
        }
    }

    /// True if the connection it happened on is of no use any more.
    pub fn breaks_connection(&self) -> bool {
        matches!(self, Trouble::Broken { .. } | Trouble::Garbled { .. })
    }

    /// What a person can do about it.
    pub fn remedy(&self) -> Option<String> {
        let text = match self {
            Trouble::Unreachable { .. } => {
                "start a node with `flotilla serve`, or name one that runs with --bootstrap HOST:PORT"
            }
            Trouble::Broken { .. } => "look at the node's log; give more time with --timeout",
            Trouble::Garbled { .. } => "check that --bootstrap names a Kafka listener",
            Trouble::Refused { code, .. } => code.remedy()?,
            Trouble::TimedOut { last, .. } => match last {
                Some(last) => return last.remedy(),
                None => "give more time with --timeout",
            },
            Trouble::Usage { .. }
            | Trouble::Missing { .. }
            | Trouble::Unhealthy { .. }
            | Trouble::Input { .. }
            | Trouble::Output(_) => {
                return None;
            }
        };
        Some(text.into())
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Usage { what } | Trouble::Input { what } | Trouble::Unhealthy { what } => {
                f.write_str(what)
            }
            Trouble::Unreachable { address, source } => {
                write!(f, "can't reach {address}: {source}")
            }
            Trouble::Broken { address, source } => {
                write!(f, "the connection to {address} broke: {source}")
            }
            Trouble::Garbled { address, what } => {
                write!(f, "{address} gave an answer that makes no sense: {what}")
            }
            Trouble::Refused {
                what,
                code,
                message,
            } => match message {
                Some(message) if !message.is_empty() => write!(f, "{what}: {code}: {message}"),
                _ => write!(f, "{what}: {code}"),
            },
            Trouble::Missing { address, call } => write!(f, "{address} doesn't offer {call}"),
            Trouble::TimedOut {
                what,
                last: Some(last),
            } => {
                write!(f, "gave up: {what}; the last obstacle: {last}")
            }
            Trouble::TimedOut { what, last: None } => write!(f, "gave up: {what}"),
            Trouble::Output(source) => write!(f, "can't write the output: {source}"),
        }
    }
}

impl std::error::Error for Trouble {}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::Output(error)
    }
}
