//! All keys in words, for `flotilla config reference`.

use std::fmt::Write;

/// The table as text, one paragraph per key.
pub fn reference() -> String {
    let mut text = String::new();
    for key in super::keys() {
        let default = match key.default {
            None => "unset",
            Some("") => "empty",
            Some(value) => value,
        };
        let mut facts = format!("{}, default {default}", key.kind.name().to_lowercase());
        let rule = key.rule.describe();
        if !rule.is_empty() {
            facts.push_str(&format!(", {rule}"));
        }
        if let Some(topic) = key.topic {
            facts.push_str(&format!(", default of the topic key {topic}"));
        }
        let _ = write!(text, "{}\n    {facts}\n    {}\n", key.name, key.doc);
    }
    text
}
