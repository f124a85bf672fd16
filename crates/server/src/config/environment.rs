//! Configuration from the environment: `FLOTILLA_NUM_PARTITIONS` is `num.partitions`.

use super::source::{Given, Source};
use std::ffi::OsString;

const PREFIX: &str = "FLOTILLA_";
/// Variables of ours that aren't keys: the log filter and the configuration file.
pub const LOG: &str = "FLOTILLA_LOG";
/// The configuration file, if the command line names none.
pub const CONFIG: &str = "FLOTILLA_CONFIG";

/// The variables that are meant for us. The others may hold bytes that are no text.
pub fn ours(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Vec<(String, String)>, String> {
    let named = variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    named
        .filter(|(name, _)| name.starts_with(PREFIX))
        .map(|(name, value)| match value.into_string() {
            Ok(value) => Ok((name, value)),
            Err(_) => Err(format!("environment {name}: the value isn't UTF-8")),
        })
        .collect()
}

/// The variables that are keys. `known` are the keys that exist; a variable that names none of
/// them is given under the name that it spells, so that it can be refused by name.
pub fn read<'a>(
    variables: impl Iterator<Item = (String, String)>,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Vec<Given> {
    let mut given: Vec<Given> = variables
        .filter(|(name, _)| name.starts_with(PREFIX) && name != LOG && name != CONFIG)
        .filter(|(name, _)| !is_service_link(name))
        .map(|(name, value)| {
            let rest = &name[PREFIX.len()..];
            let key = known.clone().find(|key| spelled(key) == rest);
            let key = key.map_or_else(|| rest.to_lowercase().replace('_', "."), str::to_owned);
            Given::new(key, value, Source::Environment(name))
        })
        .collect();
    given.sort_by(|a, b| a.source.cmp(&b.source));
    given
}

fn spelled(key: &str) -> String {
    let upper = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        }
    };
    key.chars().map(upper).collect()
}

/// What a container platform sets for a service that happens to be called `flotilla`.
fn is_service_link(name: &str) -> bool {
    let rest = &name[PREFIX.len()..];
    let number = |text: &str| {
        text.split('_')
            .next()
            .is_some_and(|n| n.parse::<u16>().is_ok())
    };
    rest == "PORT"
        || rest.starts_with("SERVICE_HOST")
        || rest.starts_with("SERVICE_PORT")
        || rest.strip_prefix("PORT_").is_some_and(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_name_keys_and_strangers_keep_their_spelling() {
        let variables = [
            ("FLOTILLA_NUM_PARTITIONS", "4"),
            ("FLOTILLA_NODE_ID", "2"),
            ("FLOTILLA_NO_SUCH", "x"),
            ("FLOTILLA_LOG", "debug"),
            ("FLOTILLA_CONFIG", "a.yaml"),
            ("FLOTILLA_SERVICE_HOST", "10.0.0.1"),
            ("FLOTILLA_PORT_9092_TCP_ADDR", "10.0.0.1"),
            ("HOME", "/root"),
        ];
        let variables = variables.map(|(k, v)| (k.to_owned(), v.to_owned()));
        let known = ["num.partitions", "node.id"];
        let given = read(variables.into_iter(), known.into_iter());
        let read: Vec<(&str, &str)> = given
            .iter()
            .map(|g| (g.key.as_str(), g.value.as_str()))
            .collect();
        assert_eq!(
            read,
            [("node.id", "2"), ("no.such", "x"), ("num.partitions", "4")]
        );
        assert_eq!(given[1].source.to_string(), "environment FLOTILLA_NO_SUCH");
    }
}
