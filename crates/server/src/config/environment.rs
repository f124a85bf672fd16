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
/// them is given under the name that it spells, so that it can be refused by name, unless a
/// container platform set it.
pub fn read<'a>(
    variables: impl Iterator<Item = (String, String)>,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Vec<Given> {
    let mut given: Vec<Given> = variables
        .filter(|(name, _)| name != LOG && name != CONFIG)
        .filter_map(|(name, value)| {
            let rest = name.strip_prefix(PREFIX)?;
            let key = match known.clone().find(|key| spelled(key) == rest) {
                Some(key) => key.to_owned(),
                None if is_service_link(rest, &value) => return None,
                None => rest.to_lowercase().replace('_', "."),
            };
            Some(Given::new(key, value, Source::Environment(name)))
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

/// What a container platform sets for each service beside the node, here for those whose names
/// begin with `flotilla`: `FLOTILLA_BOOTSTRAP_SERVICE_HOST`, `FLOTILLA_0_PORT_9092_TCP_ADDR`.
fn is_service_link(rest: &str, value: &str) -> bool {
    let words: Vec<&str> = rest.split('_').collect();
    (0..words.len()).any(|at| ends_a_link(&words[at..], value))
}

fn ends_a_link(words: &[&str], value: &str) -> bool {
    match words {
        ["SERVICE", "HOST"] => true,
        // A port's name may follow.
        ["SERVICE", "PORT", ..] => true,
        // Only a link has a whole address there.
        ["PORT"] => value.contains("://"),
        ["PORT", number, "TCP" | "UDP" | "SCTP"]
        | [
            "PORT",
            number,
            "TCP" | "UDP" | "SCTP",
            "PROTO" | "PORT" | "ADDR",
        ] => number.parse::<u16>().is_ok(),
        _ => false,
    }
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

    #[test]
    fn every_key_is_found_by_its_variable() {
        let names = || broker::settings::keys().iter().map(|key| key.name);
        for name in names() {
            let variable = format!("FLOTILLA_{}", name.to_uppercase().replace('.', "_"));
            let given = read([(variable, "1".to_owned())].into_iter(), names());
            assert_eq!(given.len(), 1, "{name}");
            assert_eq!(given[0].key, name);
        }
    }

    #[test]
    fn links_of_services_whose_names_begin_like_ours_are_not_keys() {
        let left = |variables: &[(&str, &str)]| -> Vec<String> {
            let variables = variables.iter();
            let variables = variables.map(|(k, v)| (format!("FLOTILLA_{k}"), (*v).to_owned()));
            let given = read(variables, ["node.id", "quota.service.port"].into_iter());
            given.into_iter().map(|given| given.key).collect()
        };
        for service in ["", "BOOTSTRAP_", "0_EXTERNAL_"] {
            for (end, value) in [
                ("SERVICE_HOST", "10.0.0.1"),
                ("SERVICE_PORT", "9092"),
                ("SERVICE_PORT_KAFKA_TLS", "9092"),
                ("PORT", "tcp://10.0.0.1:9092"),
                ("PORT_9092_TCP", "tcp://10.0.0.1:9092"),
                ("PORT_9092_TCP_PROTO", "tcp"),
                ("PORT_9092_TCP_PORT", "9092"),
                ("PORT_9092_TCP_ADDR", "10.0.0.1"),
                ("PORT_9092_UDP_ADDR", "10.0.0.1"),
            ] {
                let name = format!("{service}{end}");
                assert_eq!(left(&[(&name, value)]), [""; 0], "{name}");
            }
        }
        // What looks like one but isn't stays, to be read or to be refused by name.
        assert_eq!(
            left(&[
                ("HTTP_PORT", "9640"),
                ("PORT_ABC_TCP_ADDR", "x"),
                ("QUOTA_SERVICE_PORT", "1"),
            ]),
            ["http.port", "port.abc.tcp.addr", "quota.service.port"]
        );
    }
}
