//! Why bytes are not the message they should be.

/// What is wrong with the bytes of a message. The door closes the connection or answers with
/// an error; nothing of a message is used before all of it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The message ends early.
    #[error("the message is cut off: {wanted} more bytes are announced, {left} are there")]
    Short {
        /// Bytes that the next value takes.
        wanted: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// A variable-length integer that is cut off or too long.
    #[error("the message has a malformed variable-length integer")]
    Varint,
    /// Null where the version doesn't allow it.
    #[error("the message has null for a value that this version requires")]
    Null,
    /// Text that is longer than any may be.
    #[error("the message has text of {length} bytes")]
    Long {
        /// Its bytes.
        length: usize,
    },
    /// A message packed so tightly that its decoded form would take far more memory than it.
    #[error("the message holds more elements than a message of its size may")]
    Dense,
    /// A version without a definition.
    #[error("{message} has no version {version}")]
    Version {
        /// Name of the message.
        message: &'static str,
        /// The version asked for.
        version: i16,
    },
}
