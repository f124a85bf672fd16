//! `flotilla group`: consumer groups as an operator sees them.

mod lag;
mod reset;

use crate::args::{GroupCommand, GroupDelete, GroupList, GroupNames, Output, Target};
use crate::client::groups::{self, Group, Member};
use crate::client::{Cluster, Code, Deadline, Trouble};
use crate::output::{self, Table};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Runs the command.
pub fn run(command: GroupCommand) -> Result<(), Trouble> {
    match command {
        GroupCommand::List(args) => list(&args),
        GroupCommand::Describe(args) => each(&args, describe),
        GroupCommand::Members(args) => each(&args, members),
        GroupCommand::Lag(args) => lag::run(&args),
        GroupCommand::Watch(args) => lag::watch(&args),
        GroupCommand::ResetOffsets(args) => reset::run(&args),
        GroupCommand::Delete(args) => delete(&args),
    }
}

fn open(target: &Target) -> Result<(Cluster, Deadline), Trouble> {
    let deadline = Deadline::after(target.timeout);
    Ok((Cluster::new(&target.bootstrap)?, deadline))
}

fn each(
    args: &GroupNames,
    show: impl Fn(&mut Cluster, &Target, &Group, Deadline) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    let (mut cluster, deadline) = open(&args.target)?;
    for name in &args.names {
        let group = existing(&mut cluster, name, deadline)?;
        show(&mut cluster, &args.target, &group, deadline)?;
    }
    Ok(())
}

/// A group that is there: it has members, or offsets at least.
fn existing(cluster: &mut Cluster, name: &str, deadline: Deadline) -> Result<Group, Trouble> {
    let group = groups::describe(cluster, name, deadline)?;
    if group.state == "Dead" && groups::committed(cluster, name, deadline)?.is_empty() {
        let what = format!("group {name}");
        return Err(Trouble::refused(what, Code::GROUP_ID_NOT_FOUND, None));
    }
    Ok(group)
}

fn list(args: &GroupList) -> Result<(), Trouble> {
    let (mut cluster, deadline) = open(&args.target)?;
    let mut groups = groups::list(&mut cluster, deadline)?;
    let wanted = |given: &[String], is: &str| {
        given.is_empty() || given.iter().any(|one| one.eq_ignore_ascii_case(is))
    };
    groups.retain(|g| wanted(&args.state, &g.group_state) && wanted(&args.types, &g.group_type));
    if args.target.output == Output::Json {
        let row = |g: &wire_kafka::messages::list_groups_response::ListedGroup| {
            json!({
                "group": g.group_id,
                "type": g.group_type,
                "protocol": g.protocol_type,
                "state": g.group_state,
            })
        };
        return output::json(&groups.iter().map(row).collect());
    }
    if groups.is_empty() {
        return output::text("no groups\n");
    }
    let mut table = Table::new(&["group", "type", "protocol", "state"]);
    for group in groups {
        let cells = [
            group.group_id,
            group.group_type,
            group.protocol_type,
            group.group_state,
        ];
        table.row(cells.map(or_dash).to_vec());
    }
    output::text(&table.text())
}

fn or_dash(text: String) -> String {
    if text.is_empty() { "-".into() } else { text }
}

fn describe(
    cluster: &mut Cluster,
    target: &Target,
    group: &Group,
    deadline: Deadline,
) -> Result<(), Trouble> {
    let rows = lag::measure(cluster, group, deadline)?;
    if target.output == Output::Json {
        return output::json(&json!({
            "group": group.name,
            "type": group.kind,
            "state": group.state,
            "assignor": group.assignor,
            "coordinator": group.coordinator,
            "epoch": group.epoch,
            "members": group.members.iter().map(member_json).collect::<Vec<_>>(),
            "partitions": rows.iter().map(lag::Row::json).collect::<Vec<_>>(),
        }));
    }
    let mut text = format!(
        "{}  {}, {}, {}, coordinated by node {}",
        group.name,
        group.kind,
        group.state,
        output::counted(group.members.len() as u64, "member"),
        group.coordinator
    );
    if !group.assignor.is_empty() {
        text += &format!(", assigned by {}", group.assignor);
    }
    if let Some(epoch) = group.epoch {
        text += &format!(", epoch {epoch}");
    }
    output::text(&(text + "\n" + &lag::table(&rows).text()))
}

fn members(_: &mut Cluster, target: &Target, group: &Group, _: Deadline) -> Result<(), Trouble> {
    if target.output == Output::Json {
        let members = group.members.iter().map(member_json);
        return output::json(&json!({
            "group": group.name,
            "state": group.state,
            "members": members.collect::<Vec<_>>(),
        }));
    }
    if group.members.is_empty() {
        return output::text(&format!("{}: no members, {}\n", group.name, group.state));
    }
    let headings = [
        "member",
        "instance",
        "client",
        "host",
        "epoch",
        "partitions",
    ];
    let mut table = Table::new(&headings);
    let count = output::counted(group.members.len() as u64, "member");
    let heading = format!("{}: {count}, {}\n", group.name, group.state);
    for member in &group.members {
        let epoch = member.epoch.map(|epoch| epoch.to_string());
        let parts = member.assigned.iter();
        let parts: Vec<String> = parts
            .map(|(topic, partitions)| format!("{topic}:{}", output::list(partitions)))
            .collect();
        table.row(vec![
            member.id.clone(),
            or_dash(member.instance.clone().unwrap_or_default()),
            or_dash(member.client.clone()),
            or_dash(member.host.clone()),
            or_dash(epoch.unwrap_or_default()),
            or_dash(parts.join(" ")),
        ]);
    }
    output::text(&(heading + &table.text()))
}

fn member_json(member: &Member) -> Value {
    let assigned: BTreeMap<&str, &[i32]> = member
        .assigned
        .iter()
        .map(|(topic, partitions)| (topic.as_str(), partitions.as_slice()))
        .collect();
    json!({
        "member": member.id,
        "instance": member.instance,
        "client": member.client,
        "host": member.host,
        "epoch": member.epoch,
        "assigned": assigned,
    })
}

fn delete(args: &GroupDelete) -> Result<(), Trouble> {
    let (mut cluster, deadline) = open(&args.target)?;
    let mut deleted = Vec::new();
    for name in &args.names {
        let outcome = match args.topic.is_empty() {
            true => groups::delete(&mut cluster, name, deadline),
            false => delete_offsets(&mut cluster, args, name, deadline),
        };
        match outcome {
            Err(Trouble::Refused { code, .. })
                if code == Code::GROUP_ID_NOT_FOUND && args.if_exists => {}
            outcome => {
                outcome?;
                deleted.push(name.clone());
            }
        }
    }
    match args.target.output {
        Output::Json => output::json(&json!({ "deleted": deleted })),
        Output::Text => {
            let what = if args.topic.is_empty() {
                ""
            } else {
                "offsets of "
            };
            let mut names = deleted.iter();
            names.try_for_each(|name| output::text(&format!("deleted {what}{name}\n")))
        }
    }
}

/// Deletes the offsets of the topics named, as far as the group has some.
fn delete_offsets(
    cluster: &mut Cluster,
    args: &GroupDelete,
    name: &str,
    deadline: Deadline,
) -> Result<(), Trouble> {
    let committed = groups::committed(cluster, name, deadline)?;
    let named = |topic: &str, partition: i32| {
        let mut parts = args.topic.iter().filter(|part| part.topic == topic);
        parts.any(|part| {
            part.partitions
                .as_ref()
                .is_none_or(|p| p.contains(&partition))
        })
    };
    let mut places = BTreeMap::new();
    for (topic, partition) in committed.into_keys() {
        if named(&topic, partition) {
            places.insert((topic, partition), ());
        }
    }
    if places.is_empty() {
        let what = format!("group {name} has no offsets of {}", args.topic[0].topic);
        return Err(Trouble::Input { what });
    }
    groups::delete_offsets(cluster, name, &places, deadline)
}
