//! Subscriptions by regular expression: what is one, and which topics it stands for.
//!
//! Expressions have RE2's syntax and meaning, as in Kafka; `re2` says them again in the words of
//! the `regex` crate, whose matching is linear in the text too. An expression has to match the
//! whole name. It is compiled when it is needed, and how large it may become is bounded.

mod re2;

use crate::Topics;
use base::Refusal;
use regex::bytes::{Regex, RegexBuilder};

/// Longest expression.
const BYTES_MAX: usize = 4 * 1024;
/// Most memory that a compiled expression may take.
const COMPILED_BYTES_MAX: usize = 1024 * 1024;

/// The expression, compiled.
pub(super) fn compile(expression: &str) -> Result<Regex, Refusal> {
    let refuse = |why: String| {
        Refusal::InvalidRegularExpression(format!(
            "SubscribedTopicRegex `{expression}` is not a valid regular expression: {why}."
        ))
    };
    if expression.len() > BYTES_MAX {
        return Err(refuse(format!("it is longer than {BYTES_MAX} bytes")));
    }
    let translated = re2::translate(expression).map_err(refuse)?;
    let whole = format!(r"\A(?:{translated})\z");
    let built = RegexBuilder::new(&whole)
        .size_limit(COMPILED_BYTES_MAX)
        .build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => refuse("it is too large when compiled".to_owned()),
        _ => refuse("it cannot be parsed".to_owned()),
    })
}

/// The topics that the expression stands for, in order.
pub(super) fn topics(regex: &Regex, topics: &dyn Topics) -> Vec<String> {
    let matching = topics
        .names()
        .filter(|name| regex.is_match(name.as_bytes()));
    let mut names: Vec<String> = matching.map(str::to_owned).collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests;
