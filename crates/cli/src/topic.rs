//! `flotilla topic`: create, list, describe and delete topics.

use crate::args::Resource;
use crate::args::{Alter, Create, Delete, Describe, List, Output, Target, TopicCommand};
use crate::client::cluster::Missing;
use crate::client::reader::{Bound, TopicReader};
use crate::client::{Cluster, Code, Deadline, Trouble};
use crate::config;
use crate::output::{self, Table};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use wire_kafka::messages::create_partitions_request::{
    CreatePartitionsRequest, CreatePartitionsTopic,
};
use wire_kafka::messages::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use wire_kafka::messages::create_topics_response::CreatableTopicResult;
use wire_kafka::messages::delete_topics_request::DeleteTopicsRequest;
use wire_kafka::messages::describe_configs_request::{
    DescribeConfigsRequest, DescribeConfigsResource,
};
use wire_kafka::messages::metadata_response::MetadataResponseTopic;

/// DescribeConfigs' word for a topic.
const TOPIC_RESOURCE: i8 = 2;
/// Where a setting comes from if it is the topic's own.
const OWN_SETTING: i8 = 1;

/// How long partitions are asked where they begin and end, which a leader without its majority doesn't say.
const OFFSETS_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);

/// Runs the command.
pub fn run(command: TopicCommand) -> Result<(), Trouble> {
    match command {
        TopicCommand::Create(args) => create(&args),
        TopicCommand::List(args) => list(&args),
        TopicCommand::Describe(args) => {
            args.names.iter().try_for_each(|name| describe(&args, name))
        }
        TopicCommand::Alter(args) => alter(&args),
        TopicCommand::Delete(args) => delete(&args),
    }
}

fn open(target: &Target) -> Result<(Cluster, Deadline), Trouble> {
    Ok((
        Cluster::new(&target.bootstrap)?,
        Deadline::after(target.timeout),
    ))
}

fn timeout_ms(target: &Target) -> i32 {
    i32::try_from(target.timeout.as_millis()).unwrap_or(i32::MAX)
}

/// Makes the topic, and returns once it can be used: every partition has a leader.
fn create(args: &Create) -> Result<(), Trouble> {
    let (mut cluster, deadline) = open(&args.target)?;
    let config = |(name, value): &(String, String)| CreatableTopicConfig {
        name: name.clone(),
        value: Some(value.clone()),
    };
    let request = CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: args.name.clone(),
            num_partitions: args.partitions.unwrap_or(-1),
            replication_factor: args.replicas.unwrap_or(-1),
            configs: args.config.iter().map(config).collect(),
            ..CreatableTopic::default()
        }],
        timeout_ms: timeout_ms(&args.target),
        ..CreateTopicsRequest::default()
    };
    let made = ask_to_create(&mut cluster, &request, args.if_not_exists, deadline)?;
    let topic = cluster.topic_led(&args.name, Missing::Wait, deadline)?;
    let partitions = topic.partitions.len();
    let replicas = topic
        .partitions
        .first()
        .map_or(0, |p| p.replica_nodes.len());
    match args.target.output {
        Output::Json => output::json(&json!({
            "name": args.name,
            "id": topic.topic_id.to_string(),
            "partitions": partitions,
            "replicas": replicas,
            "created": made,
        })),
        Output::Text => output::text(&format!(
            "{} {}: {}, {} each\n",
            if made { "created" } else { "there is already" },
            args.name,
            output::counted(partitions as u64, "partition"),
            if replicas == 1 {
                "1 replica".into()
            } else {
                format!("{replicas} replicas")
            },
        )),
    }
}

/// True if the topic was made, false if it was there.
fn ask_to_create(
    cluster: &mut Cluster,
    request: &CreateTopicsRequest,
    may_be_there: bool,
    deadline: Deadline,
) -> Result<bool, Trouble> {
    cluster.persist_once(deadline, |cluster, may_be_made| {
        let answer = cluster.call_controller(request, deadline)?;
        let result: CreatableTopicResult = answer.topics.into_iter().next().unwrap_or_default();
        let code = Code(result.error_code);
        match code {
            Code::TOPIC_ALREADY_EXISTS if may_be_made => Ok(true),
            Code::TOPIC_ALREADY_EXISTS if may_be_there => Ok(false),
            _ if code.is_ok() => Ok(true),
            _ => {
                let what = format!("creating topic {}", result.name);
                Err(Trouble::refused(what, code, result.error_message))
            }
        }
    })
}

fn list(args: &List) -> Result<(), Trouble> {
    let (mut cluster, deadline) = open(&args.target)?;
    let mut topics = cluster.topics(None, deadline)?;
    topics.retain(|topic| args.internal || !topic.is_internal);
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    let replicas = |topic: &MetadataResponseTopic| {
        topic
            .partitions
            .iter()
            .map(|p| p.replica_nodes.len())
            .max()
            .unwrap_or(0)
    };
    if args.target.output == Output::Json {
        let row = |topic: &MetadataResponseTopic| {
            json!({
                "name": topic.name,
                "id": topic.topic_id.to_string(),
                "partitions": topic.partitions.len(),
                "replicas": replicas(topic),
                "internal": topic.is_internal,
            })
        };
        return output::json(&topics.iter().map(row).collect());
    }
    if topics.is_empty() {
        return output::text("no topics; make one with `flotilla topic create NAME`\n");
    }
    let mut table = Table::new(&["topic", "partitions", "replicas"]);
    for topic in &topics {
        table.row(vec![
            topic.name.clone().unwrap_or_default(),
            topic.partitions.len().to_string(),
            replicas(topic).to_string(),
        ]);
    }
    output::text(&table.text())
}

fn describe(args: &Describe, name: &str) -> Result<(), Trouble> {
    let (mut cluster, deadline) = open(&args.target)?;
    let mut topic = cluster.topic_as_known(name, deadline)?;
    topic.partitions.sort_by_key(|p| p.partition_index);
    let settings = own_settings(&mut cluster, name, deadline)?;
    // A partition without a leader has no offsets to tell; the rest is worth showing.
    let mut led = topic
        .partitions
        .iter()
        .filter(|p| p.leader_id >= 0)
        .peekable();
    let (mut first, mut end) = (BTreeMap::new(), BTreeMap::new());
    if led.peek().is_some() {
        let led = led.map(|p| p.partition_index).collect();
        let soon = || deadline.within(OFFSETS_WITHIN);
        let mut reader = TopicReader::open(&mut cluster, name, None, deadline)?;
        (first, _) = reader.offsets_told(&mut cluster, &led, Bound::Earliest, soon())?;
        let known = first.keys().copied().collect();
        (end, _) = reader.offsets_told(&mut cluster, &known, Bound::Latest, soon())?;
    }
    match args.target.output {
        Output::Json => output::json(&described(&topic, &settings, &first, &end)),
        Output::Text => output::text(&description(&topic, &settings, &first, &end)),
    }
}

fn described(
    topic: &MetadataResponseTopic,
    settings: &BTreeMap<String, String>,
    first: &BTreeMap<i32, i64>,
    end: &BTreeMap<i32, i64>,
) -> Value {
    let partitions = topic.partitions.iter().map(|p| {
        json!({
            "partition": p.partition_index,
            "leader": p.leader_id,
            "epoch": p.leader_epoch,
            "replicas": p.replica_nodes,
            "in_sync": p.isr_nodes,
            "first": first.get(&p.partition_index),
            "end": end.get(&p.partition_index),
        })
    });
    json!({
        "name": topic.name,
        "id": topic.topic_id.to_string(),
        "settings": settings,
        "partitions": partitions.collect::<Vec<_>>(),
    })
}

fn description(
    topic: &MetadataResponseTopic,
    settings: &BTreeMap<String, String>,
    first: &BTreeMap<i32, i64>,
    end: &BTreeMap<i32, i64>,
) -> String {
    let mut text = format!(
        "{}  id {}\n",
        topic.name.as_deref().unwrap_or(""),
        topic.topic_id
    );
    for (key, value) in settings {
        text.push_str(&format!("  {key} = {value}\n"));
    }
    let headings = [
        "partition",
        "leader",
        "epoch",
        "replicas",
        "in sync",
        "first",
        "end",
    ];
    let mut table = Table::new(&headings);
    let offset = |of: &BTreeMap<i32, i64>, partition| {
        of.get(&partition)
            .map_or_else(|| "-".to_owned(), i64::to_string)
    };
    for p in &topic.partitions {
        table.row(vec![
            p.partition_index.to_string(),
            if p.leader_id < 0 {
                "none".into()
            } else {
                p.leader_id.to_string()
            },
            p.leader_epoch.to_string(),
            output::list(&p.replica_nodes),
            output::list(&p.isr_nodes),
            offset(first, p.partition_index),
            offset(end, p.partition_index),
        ]);
    }
    text + &table.text()
}

/// The settings that were made for the topic itself.
fn own_settings(
    cluster: &mut Cluster,
    name: &str,
    deadline: Deadline,
) -> Result<BTreeMap<String, String>, Trouble> {
    let request = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: TOPIC_RESOURCE,
            resource_name: name.into(),
            configuration_keys: None,
        }],
        ..DescribeConfigsRequest::default()
    };
    let answer = cluster.call_any(&request, deadline)?;
    let mut settings = BTreeMap::new();
    for result in answer.results {
        let code = Code(result.error_code);
        if !code.is_ok() {
            let what = format!("the settings of topic {name}");
            return Err(Trouble::refused(what, code, result.error_message));
        }
        let own = result
            .configs
            .into_iter()
            .filter(|c| c.config_source == OWN_SETTING);
        settings.extend(own.map(|c| (c.name, c.value.unwrap_or_default())));
    }
    Ok(settings)
}

fn alter(args: &Alter) -> Result<(), Trouble> {
    if args.partitions.is_none() && args.config.is_empty() && args.reset.is_empty() {
        return Err(Trouble::Usage {
            what: "say what to change: --partitions, --config or --reset".into(),
        });
    }
    let (mut cluster, deadline) = open(&args.target)?;
    let edits = config::edits(&args.config, &args.reset);
    let changed = edits.len();
    if changed > 0 {
        let resource = Resource::topic(&args.name);
        config::must_have(&mut cluster, &resource, &args.reset, deadline)?;
        config::alter(&mut cluster, &resource, edits, args.dry_run, deadline)?;
    }
    if let Some(count) = args.partitions {
        grow(&mut cluster, args, count, deadline)?;
    }
    match args.target.output {
        Output::Json => output::json(&json!({
            "name": args.name,
            "partitions": args.partitions,
            "keys": changed,
            "changed": !args.dry_run,
        })),
        Output::Text => output::text(&format!(
            "{} {}\n",
            if args.dry_run {
                "could change"
            } else {
                "changed"
            },
            args.name
        )),
    }
}

fn grow(
    cluster: &mut Cluster,
    args: &Alter,
    count: i32,
    deadline: Deadline,
) -> Result<(), Trouble> {
    let request = CreatePartitionsRequest {
        topics: vec![CreatePartitionsTopic {
            name: args.name.clone(),
            count,
            assignments: None,
        }],
        timeout_ms: timeout_ms(&args.target),
        validate_only: args.dry_run,
    };
    let what = || format!("adding partitions to {}", args.name);
    let outcome = cluster.persist_once(deadline, |cluster, may_be_done| {
        let answer = cluster.call_controller(&request, deadline)?;
        let result = answer.results.into_iter().next().unwrap_or_default();
        let code = Code(result.error_code);
        match code {
            Code::INVALID_PARTITIONS if may_be_done => Ok(Some(result.error_message)),
            _ if code.is_ok() => Ok(None),
            _ => Err(Trouble::refused(what(), code, result.error_message)),
        }
    })?;
    let Some(message) = outcome else {
        return Ok(());
    };
    // As many are there now as were asked for, or it was refused for another reason.
    let there = cluster
        .topic_as_known(&args.name, deadline)?
        .partitions
        .len();
    match usize::try_from(count) == Ok(there) {
        true => Ok(()),
        false => Err(Trouble::refused(what(), Code::INVALID_PARTITIONS, message)),
    }
}

fn delete(args: &Delete) -> Result<(), Trouble> {
    let (mut cluster, deadline) = open(&args.target)?;
    let mut left: Vec<String> = args.names.clone();
    let (mut deleted, mut unknown) = (Vec::new(), None);
    let outcome = cluster.persist_once(deadline, |cluster, may_be_gone| {
        let request = DeleteTopicsRequest {
            topic_names: left.clone(),
            timeout_ms: timeout_ms(&args.target),
            ..DeleteTopicsRequest::default()
        };
        let answer = cluster.call_controller(&request, deadline)?;
        let mut last: Result<(), Trouble> = Ok(());
        for result in answer.responses {
            let name = result.name.unwrap_or_default();
            let code = Code(result.error_code);
            let missing = code == Code::UNKNOWN_TOPIC_OR_PARTITION;
            let gone = code.is_ok() || (missing && may_be_gone);
            if gone || (missing && args.if_exists) {
                left.retain(|open| *open != name);
                deleted.extend(gone.then_some(name));
                continue;
            }
            let what = format!("deleting topic {name}");
            let trouble = Trouble::refused(what, code, result.error_message);
            if missing {
                left.retain(|open| *open != name);
                unknown.get_or_insert(trouble);
                continue;
            }
            last = Err(trouble);
        }
        last
    });
    // Also if one of them couldn't be deleted: the others are gone.
    match args.target.output {
        Output::Json => output::json(&json!({ "deleted": deleted }))?,
        Output::Text => deleted
            .iter()
            .try_for_each(|n| output::text(&format!("deleted {n}\n")))?,
    }
    outcome?;
    unknown.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests;
