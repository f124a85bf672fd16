//! Which names a topic may have, in Kafka's words.

use base::limits::TOPIC_NAME_BYTES_MAX;

/// The topic in which Kafka keeps its own metadata; nobody may make it.
pub(crate) const CLUSTER_METADATA: &str = "__cluster_metadata";

/// The topic in which coordinators of groups keep their records.
pub const CONSUMER_OFFSETS: &str = "__consumer_offsets";

/// The topics that coordinators write; no client may.
const INTERNAL: [&str; 3] = [
    CONSUMER_OFFSETS,
    "__transaction_state",
    "__share_group_state",
];

/// True for the topics that only this cluster itself writes.
pub fn is_internal(name: &str) -> bool {
    INTERNAL.contains(&name)
}

/// Checks a name; what is wrong with it otherwise.
pub fn check(name: &str) -> Result<(), String> {
    let why = if name.is_empty() {
        "the empty string is not allowed".to_owned()
    } else if name == "." || name == ".." {
        format!("'{name}' is not allowed")
    } else if name.len() > TOPIC_NAME_BYTES_MAX {
        format!(
            "the length of '{name}' is longer than the max allowed length {TOPIC_NAME_BYTES_MAX}"
        )
    } else if !name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    {
        format!(
            "'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
        )
    } else {
        return Ok(());
    };
    Err(format!("Topic name is invalid: {why}"))
}

/// The form in which names that differ in '.' and '_' only are the same, as in names of metrics;
/// `None` for names with neither.
pub(crate) fn collision_form(name: &str) -> Option<String> {
    name.contains(['.', '_']).then(|| name.replace('.', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_refused_in_kafkas_words() {
        assert_eq!(check("orders.v1_A-9"), Ok(()));
        assert_eq!(check(&"x".repeat(249)), Ok(()));
        let why = |name: &str| check(name).unwrap_err();
        assert_eq!(
            why(""),
            "Topic name is invalid: the empty string is not allowed"
        );
        assert_eq!(why(".."), "Topic name is invalid: '..' is not allowed");
        assert!(why(&"x".repeat(250)).ends_with("is longer than the max allowed length 249"));
        assert!(why("a b").contains("other than ASCII alphanumerics, '.', '_' and '-'"));
        assert!(why("é").contains("other than ASCII alphanumerics"));
    }

    #[test]
    fn dots_and_underscores_are_one() {
        assert_eq!(collision_form("a.b_c"), collision_form("a_b.c"));
        assert_eq!(collision_form("abc"), None);
    }
}
