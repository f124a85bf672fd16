//! Who may do what: the one place that decides it.

use base::Refusal;
use std::borrow::Cow;

/// Whoever makes a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// What kind of name it is.
    pub kind: Cow<'static, str>,
    /// The name.
    pub name: Cow<'static, str>,
}

impl Principal {
    /// Somebody who gave no name.
    pub const ANONYMOUS: Principal = Principal {
        kind: Cow::Borrowed("User"),
        name: Cow::Borrowed("ANONYMOUS"),
    };
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read records.
    Read,
    /// Append records.
    Write,
    /// Make a topic.
    Create,
    /// Delete a topic.
    Delete,
    /// See that it exists and where it is.
    Describe,
    /// See its configuration.
    DescribeConfigs,
    /// Change its configuration.
    AlterConfigs,
    /// Change it.
    Alter,
    /// Be given a producer id.
    IdempotentWrite,
}

/// What somebody wants to do it to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource<'a> {
    /// The cluster as a whole.
    Cluster,
    /// A topic, by name.
    Topic(&'a str),
    /// A consumer group, by name.
    Group(&'a str),
}

/// Decides. There are no rules yet that an operator could write down, and without rules
/// everybody may do everything, as in Kafka without an authorizer.
pub fn authorise(
    _principal: &Principal,
    _action: Action,
    _on: Resource<'_>,
) -> Result<(), Refusal> {
    Ok(())
}
