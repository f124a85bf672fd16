//! `flotilla config`: show and change configurations of topics, nodes and groups while they run.

use crate::args::{ConfigCommand, Diff, Get, Output, Reset, Resource, Set, Target};
use crate::client::{Cluster, Code, Deadline, Trouble};
use crate::output::{self, Table};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use wire_kafka::messages::describe_configs_request::{
    DescribeConfigsRequest, DescribeConfigsResource,
};
use wire_kafka::messages::describe_configs_response::DescribeConfigsResourceResult as Entry;
use wire_kafka::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

/// Runs the command.
pub fn run(command: ConfigCommand) -> Result<(), Trouble> {
    match command {
        ConfigCommand::Get(args) => get(&args),
        ConfigCommand::Set(args) => set(&args),
        ConfigCommand::Reset(args) => reset(&args),
        ConfigCommand::Diff(args) => diff(&args),
    }
}

fn open(target: &Target) -> Result<(Cluster, Deadline), Trouble> {
    let deadline = Deadline::after(target.timeout);
    Ok((Cluster::new(&target.bootstrap)?, deadline))
}

fn get(args: &Get) -> Result<(), Trouble> {
    let (mut cluster, deadline) = open(&args.target)?;
    let keys = &args.keys;
    let mut entries = describe(&mut cluster, &args.resource, keys, deadline)?;
    // Who names keys wants to see them, whatever they are.
    entries.retain(|entry| args.all || !keys.is_empty() || entry.config_source != DEFAULT);
    if args.target.output == Output::Json {
        return output::json(&entries.iter().map(told).collect());
    }
    if entries.is_empty() {
        let what = &args.resource;
        return output::text(&format!(
            "nothing is set of {what}; --all shows the defaults\n"
        ));
    }
    let mut headings = vec!["key", "value", "from"];
    headings.extend(args.docs.then_some("meaning"));
    let mut table = Table::new(&headings);
    for entry in &entries {
        let mut row = vec![
            entry.name.clone(),
            shown(entry.value.as_deref()),
            source(entry.config_source).to_owned(),
        ];
        if args.docs {
            row.push(entry.documentation.clone().unwrap_or_default());
        }
        table.row(row);
    }
    output::text(&table.text())
}

fn told(entry: &Entry) -> Value {
    let synonyms = entry.synonyms.iter().map(|synonym| {
        json!({
            "key": synonym.name,
            "value": synonym.value,
            "from": source(synonym.source),
        })
    });
    json!({
        "key": entry.name,
        "value": entry.value,
        "from": source(entry.config_source),
        "read_only": entry.read_only,
        "meaning": entry.documentation,
        "values": synonyms.collect::<Vec<_>>(),
    })
}

const DEFAULT: i8 = 5;

/// Where a value comes from, for people.
fn source(source: i8) -> &'static str {
    match source {
        1 => "topic",
        2 => "node, changed",
        3 => "all nodes, changed",
        4 => "node, at start",
        DEFAULT => "default",
        8 => "group",
        _ => "elsewhere",
    }
}

fn shown(value: Option<&str>) -> String {
    match value {
        None => "-".to_owned(),
        Some("") => "\"\"".to_owned(),
        Some(value) => value.to_owned(),
    }
}

fn describe(
    cluster: &mut Cluster,
    resource: &Resource,
    keys: &[String],
    deadline: Deadline,
) -> Result<Vec<Entry>, Trouble> {
    let request = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: resource.kind,
            resource_name: resource.name.clone(),
            configuration_keys: (!keys.is_empty()).then(|| keys.to_vec()),
        }],
        include_synonyms: true,
        include_documentation: true,
    };
    let answer = match resource.node() {
        Some(node) => {
            cluster.topics(Some(&[]), deadline)?;
            cluster.must_know(node)?;
            cluster.call_node(node, &request, deadline)?
        }
        None => cluster.call_any(&request, deadline)?,
    };
    let mut entries = Vec::new();
    for result in answer.results {
        let code = Code(result.error_code);
        if !code.is_ok() {
            let what = format!("the configuration of {resource}");
            return Err(Trouble::refused(what, code, result.error_message));
        }
        entries.extend(result.configs);
    }
    if let Some(key) = unknown(&entries, resource, keys) {
        let what = format!(
            "{resource} has no key {key}; see `flotilla config get --all`, and `flotilla config reference` for nodes"
        );
        return Err(Trouble::Input { what });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// Refuses keys that a resource doesn't have: a cluster takes them without a word where they are to
/// have their defaults again.
pub(crate) fn must_have(
    cluster: &mut Cluster,
    resource: &Resource,
    keys: &[String],
    deadline: Deadline,
) -> Result<(), Trouble> {
    if keys.is_empty() {
        return Ok(());
    }
    let of_nodes = resource.is_all_nodes() || resource.node().is_some();
    if !of_nodes {
        return describe(cluster, resource, keys, deadline).map(drop);
    }
    // Any of them has all the keys, also those of one that is away.
    cluster.topics(Some(&[]), deadline)?;
    match cluster.addresses().keys().next().copied() {
        Some(node) => describe(cluster, &Resource::of_node(node), keys, deadline).map(drop),
        None => Ok(()),
    }
}

/// A key that was asked for and isn't told. Of all nodes together, and of a single listener, only what is set is.
fn unknown<'a>(entries: &[Entry], resource: &Resource, keys: &'a [String]) -> Option<&'a str> {
    let told = |key: &&String| entries.iter().any(|entry| entry.name == **key);
    let may_be_unset = |key: &&String| resource.is_all_nodes() || key.starts_with("listener.name.");
    let unknown = keys.iter().find(|key| !told(key) && !may_be_unset(key));
    unknown.map(String::as_str)
}

/// `KEY+=ITEMS` and `KEY-=ITEMS` change a list.
fn edit((key, value): &(String, String)) -> AlterableConfig {
    let (name, config_operation) = match (key.strip_suffix('+'), key.strip_suffix('-')) {
        (Some(name), _) => (name, APPEND),
        (_, Some(name)) => (name, SUBTRACT),
        _ => (key.as_str(), SET),
    };
    AlterableConfig {
        name: name.to_owned(),
        config_operation,
        value: Some(value.clone()),
    }
}

fn deletion(key: &str) -> AlterableConfig {
    AlterableConfig {
        name: key.to_owned(),
        config_operation: DELETE,
        value: None,
    }
}

/// Changes a configuration, or only asks whether it could be.
pub(crate) fn alter(
    cluster: &mut Cluster,
    resource: &Resource,
    configs: Vec<AlterableConfig>,
    validate_only: bool,
    deadline: Deadline,
) -> Result<(), Trouble> {
    let request = IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: resource.kind,
            resource_name: resource.name.clone(),
            configs,
        }],
        validate_only,
    };
    // To set something twice is to set it once.
    cluster.persist(deadline, |cluster| {
        let answer = match resource.node() {
            Some(node) => {
                cluster.topics(Some(&[]), deadline)?;
                match cluster.call_node(node, &request, deadline) {
                    // What it is to be once it is back, or while it is gone, others can take down.
                    Err(trouble) if trouble.is_retriable() => {
                        cluster.call_any(&request, deadline)?
                    }
                    outcome => outcome?,
                }
            }
            None => cluster.call_any(&request, deadline)?,
        };
        for result in answer.responses {
            let code = Code(result.error_code);
            if !code.is_ok() {
                let what = format!("changing the configuration of {resource}");
                return Err(Trouble::refused(what, code, result.error_message));
            }
        }
        Ok(())
    })
}

/// What to set, and what to give its default again.
pub(crate) fn edits(pairs: &[(String, String)], reset: &[String]) -> Vec<AlterableConfig> {
    let set = pairs.iter().map(edit);
    set.chain(reset.iter().map(|key| deletion(key))).collect()
}

fn set(args: &Set) -> Result<(), Trouble> {
    let (mut cluster, deadline) = open(&args.target)?;
    let edits = edits(&args.pairs, &[]);
    let count = edits.len();
    alter(&mut cluster, &args.resource, edits, args.dry_run, deadline)?;
    done(&args.target, &args.resource, count, args.dry_run)
}

fn reset(args: &Reset) -> Result<(), Trouble> {
    let (mut cluster, deadline) = open(&args.target)?;
    must_have(&mut cluster, &args.resource, &args.keys, deadline)?;
    let edits = edits(&[], &args.keys);
    let count = edits.len();
    alter(&mut cluster, &args.resource, edits, args.dry_run, deadline)?;
    done(&args.target, &args.resource, count, args.dry_run)
}

fn done(target: &Target, of: &Resource, count: usize, dry: bool) -> Result<(), Trouble> {
    match target.output {
        Output::Json => output::json(&json!({ "changed": if dry { 0 } else { count } })),
        Output::Text => {
            let verb = if dry { "could change" } else { "changed" };
            let keys = output::counted(count as u64, "key");
            output::text(&format!("{verb} {keys} of {of}\n"))
        }
    }
}

fn diff(args: &Diff) -> Result<(), Trouble> {
    let (mut cluster, deadline) = open(&args.target)?;
    let values = |entries: Vec<Entry>| -> BTreeMap<String, Option<String>> {
        entries.into_iter().map(|e| (e.name, e.value)).collect()
    };
    let mine = describe(&mut cluster, &args.resource, &[], deadline)?;
    let (theirs, name) = match &args.other {
        Some(other) => {
            let entries = describe(&mut cluster, other, &[], deadline)?;
            (values(entries), other.to_string())
        }
        None => (mine.iter().map(default_of).collect(), "default".to_owned()),
    };
    let mine = values(mine);
    let mut differ: Vec<(String, Option<String>, Option<String>)> = Vec::new();
    for key in mine.keys().chain(theirs.keys()) {
        let (a, b) = (mine.get(key).cloned(), theirs.get(key).cloned());
        if a != b && !differ.iter().any(|(known, ..)| known == key) {
            differ.push((key.clone(), a.flatten(), b.flatten()));
        }
    }
    if args.target.output == Output::Json {
        let row = |(key, a, b): &(String, Option<String>, Option<String>)| json!({ "key": key, "value": a, "other": b });
        return output::json(&differ.iter().map(row).collect());
    }
    if differ.is_empty() {
        return output::text("no difference\n");
    }
    let title = args.resource.to_string();
    let mut table = Table::new(&["key", &title, &name]);
    for (key, a, b) in differ {
        table.row(vec![key, shown(a.as_deref()), shown(b.as_deref())]);
    }
    output::text(&table.text())
}

/// What a key would be if it were not set for the resource itself.
fn default_of(entry: &Entry) -> (String, Option<String>) {
    let own = |source: i8| matches!(source, 1 | 2 | 3 | 4 | 8);
    let below = entry.synonyms.iter().find(|s| !own(s.source));
    let value = match (own(entry.config_source), below) {
        (false, _) => entry.value.clone(),
        (true, Some(below)) => below.value.clone(),
        (true, None) => None,
    };
    (entry.name.clone(), value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::tests::node::{self, Script};
    use wire_kafka::ApiKey;

    #[test]
    fn a_key_that_there_is_not_is_not_reset() {
        let apis = [
            ApiKey::ApiVersions,
            ApiKey::Metadata,
            ApiKey::DescribeConfigs,
        ];
        let (address, script) = node::start(Script {
            spoken: apis.map(|api| (api, 4)).to_vec(),
            ..Script::default()
        });
        for resource in [
            Resource::topic("t"),
            Resource::of_node(1),
            Resource::of_node(9),
        ] {
            let trouble = reset(&Reset {
                resource,
                keys: vec!["retention.msx".to_owned()],
                dry_run: false,
                target: Target {
                    bootstrap: address.clone(),
                    output: Output::Text,
                    timeout: std::time::Duration::from_secs(20),
                },
            });
            let said = trouble.expect_err("no such key").to_string();
            assert!(said.contains("no key retention.msx"), "{said}");
        }
        let seen = &script.lock().expect("no panic").seen;
        assert!(seen.iter().all(|(api, _)| apis.contains(api)), "{seen:?}");
    }

    #[test]
    fn a_key_that_is_not_told_is_unknown_unless_it_may_be_unset() {
        let entries = [Entry {
            name: "retention.ms".into(),
            ..Entry::default()
        }];
        let keys = |key: &str| vec![key.to_owned()];
        let topic = Resource::topic("t");
        assert_eq!(unknown(&entries, &topic, &keys("retention.ms")), None);
        assert_eq!(
            unknown(&entries, &topic, &keys("retention.msx")),
            Some("retention.msx")
        );
        let listener = keys("listener.name.a.max.connections");
        assert_eq!(unknown(&entries, &Resource::of_node(1), &listener), None);
    }

    #[test]
    fn lists_grow_and_shrink_by_the_sign_before_the_equals() {
        let of = |key: &str| {
            let edit = edit(&(key.to_owned(), "v".to_owned()));
            (edit.name, edit.config_operation)
        };
        assert_eq!(of("cleanup.policy"), ("cleanup.policy".to_owned(), SET));
        assert_eq!(of("cleanup.policy+"), ("cleanup.policy".to_owned(), APPEND));
        assert_eq!(
            of("cleanup.policy-"),
            ("cleanup.policy".to_owned(), SUBTRACT)
        );
    }
}
