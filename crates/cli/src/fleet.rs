//! `flotilla cluster plan|rebalance|drain|remove|reassign`: where replicas are and where they go.
//!
//! Everything is asked and done with Kafka's own calls, so it works against any cluster that speaks
//! them. What should move is decided in [`plan`], which touches nothing; [`carry`] carries it out.

mod carry;
mod plan;
mod survey;

use crate::args::{Drain, Output, Pace, Plan, Reassign, Rebalance, Remove, Resource, Target};
use crate::client::deadline::sleep;
use crate::client::{Cluster, Code, Deadline, Trouble};
use crate::cluster_info::{level, quorum};
use crate::config;
use crate::output::{self, Table};
use carry::Carrier;
use plan::{Goal, Move, Partition};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use survey::{Name, Survey};
use wire_kafka::messages::unregister_broker_request::UnregisterBrokerRequest;

/// How long the cluster may take for one call.
const CALL_MS: i32 = 10_000;
/// How long leaders are waited for in one call.
const ELECT_MS: i32 = 2_000;
/// Between two looks whether a node votes on metadata.
const VOTE_LOOK: Duration = Duration::from_millis(200);
/// The first level of a cluster at which others may vote on metadata than those who formed it.
const VOTERS_CHANGE: i16 = 2;
/// The key of a node on which nothing new is to be placed; `*` means all its directories.
const CORDON: &str = "cordoned.log.dirs";

/// `flotilla cluster plan`.
pub fn show_plan(args: &Plan) -> Result<(), Trouble> {
    let (_, mut survey) = look(&args.target)?;
    for node in &args.without {
        close(&mut survey, *node)?;
    }
    let goal = match args.without.is_empty() {
        true => Goal::Rebalance,
        false => Goal::Evacuate,
    };
    show(&args.target, &decide(&survey, goal)?)
}

/// `flotilla cluster rebalance`.
pub fn rebalance(args: &Rebalance) -> Result<(), Trouble> {
    let (mut cluster, survey) = look(&args.pace.target)?;
    let moves = decide(&survey, Goal::Rebalance)?;
    let moving: BTreeSet<Name> = moves.iter().map(|m| name_of(&m.partition)).collect();
    let mut leaders = survey.led_by_others();
    leaders.retain(|name, _| !moving.contains(name));
    carry_out(&mut cluster, &args.pace, &survey, moves, leaders)
}

/// `flotilla cluster drain`.
pub fn drain(args: &Drain) -> Result<(), Trouble> {
    let target = &args.pace.target;
    let (mut cluster, mut survey) = look(target)?;
    close(&mut survey, args.node)?;
    if args.undo {
        cordon(&mut cluster, args.node, false, target)?;
        return output::text(&format!("node {} takes replicas again\n", args.node));
    }
    let moves = decide(&survey, Goal::Evacuate)?;
    if !args.pace.dry_run {
        cordon(&mut cluster, args.node, true, target)?;
    }
    carry_out(&mut cluster, &args.pace, &survey, moves, BTreeMap::new())?;
    if args.pace.dry_run {
        return Ok(());
    }
    // What was on its way to the node when it was cordoned came there nevertheless.
    let survey = Survey::of(&mut cluster, Deadline::after(target.timeout))?;
    match survey.on(args.node).len() {
        0 if target.output == Output::Json => Ok(()),
        0 => output::text(&format!(
            "node {0} is empty: stop it, then run `flotilla cluster remove {0}`\n",
            args.node
        )),
        left => Err(Trouble::Unhealthy {
            what: format!(
                "{} came to node {} meanwhile; drain it again",
                output::counted(left as u64, "replica"),
                args.node
            ),
        }),
    }
}

/// `flotilla cluster remove`.
pub fn remove(args: &Remove) -> Result<(), Trouble> {
    let (mut cluster, survey) = look(&args.target)?;
    let (node, deadline) = (args.node, Deadline::after(args.target.timeout));
    if let Some(why) = stays(&survey, node, args.lost) {
        return Err(Trouble::Unhealthy {
            what: format!("node {node} is not removed: {why}"),
        });
    }
    let votes = votes(&mut cluster, node, deadline)?;
    if votes && let Some(why) = keeps_its_vote(level(&mut cluster, deadline)?) {
        return Err(Trouble::Unhealthy {
            what: format!("node {node} is not removed: {why}"),
        });
    }
    if !args.dry_run {
        if votes {
            cordon(&mut cluster, node, true, &args.target)?;
            await_successor(&mut cluster, node, deadline)?;
        }
        let request = UnregisterBrokerRequest { broker_id: node };
        let mut answer = cluster.call_controller(&request, deadline)?;
        // One with replicas counts as lost only when it was silent for a while.
        while args.lost
            && Code(answer.error_code) == Code::POLICY_VIOLATION
            && deadline.left().is_some()
        {
            sleep(VOTE_LOOK);
            answer = cluster.call_controller(&request, deadline)?;
        }
        let code = Code(answer.error_code);
        if !code.is_ok() {
            let what = format!("removing node {node}");
            return Err(Trouble::refused(what, code, answer.error_message));
        }
    }
    if args.target.output == Output::Json {
        return output::json(&json!({ "node": node, "removed": !args.dry_run, "voted": votes }));
    }
    let verb = if args.dry_run { "could be" } else { "is" };
    let vote = match votes {
        true => "; its vote on metadata goes to another node, if there is one that has none",
        false => "",
    };
    output::text(&format!("node {node} {verb} removed{vote}\n"))
}

/// True if a node votes on metadata.
fn votes(cluster: &mut Cluster, node: i32, deadline: Deadline) -> Result<bool, Trouble> {
    let voters = quorum(cluster, deadline)?.current_voters;
    Ok(voters.iter().any(|voter| voter.replica_id == node))
}

/// Why a node that votes on metadata goes on voting, whoever else is there.
fn keeps_its_vote(level: Option<i16>) -> Option<String> {
    let level = level.filter(|level| *level < VOTERS_CHANGE)?;
    Some(format!(
        "it votes on metadata, and at level {level} of the cluster nobody else does than those who \
         formed it; raise it to {VOTERS_CHANGE} or more first with `flotilla cluster finalize`"
    ))
}

/// Waits until a node that is cordoned doesn't vote on metadata any more.
fn await_successor(cluster: &mut Cluster, node: i32, deadline: Deadline) -> Result<(), Trouble> {
    while votes(cluster, node, deadline)? {
        if deadline.left().is_none() {
            return Err(Trouble::Unhealthy {
                what: format!(
                    "node {node} is not removed: it votes on metadata still. Others must be there \
                     and up to date to go on without it: look at `flotilla cluster status`, then \
                     run the command again"
                ),
            });
        }
        sleep(VOTE_LOOK);
    }
    Ok(())
}

/// Why a node must stay.
fn stays(survey: &Survey, node: i32, lost: bool) -> Option<String> {
    if !survey.sites.contains_key(&node) {
        return Some("it is not registered".to_owned());
    }
    let replicas = survey.on(node).len() as u64;
    if replicas > 0 && !lost {
        let replicas = output::counted(replicas, "replica");
        return Some(format!(
            "it has {replicas}; run `flotilla cluster drain {node}` first, or say --lost if its disk is \
             lost"
        ));
    }
    let runs = !survey.silent.contains(&node);
    runs.then(|| "it runs; stop it first".to_owned())
}

/// `flotilla cluster reassign`.
pub fn reassign(args: &Reassign) -> Result<(), Trouble> {
    let (mut cluster, survey) = look(&args.pace.target)?;
    if args.cancel {
        return cancel(&mut cluster, args, &survey);
    }
    let mut changes = Vec::new();
    for change in &args.changes {
        changes.push(typed(change)?);
    }
    if let Some(path) = &args.file {
        let text = std::fs::read_to_string(path).map_err(|e| Trouble::Input {
            what: format!("{}: {e}", path.display()),
        })?;
        changes.extend(from_file(&text).map_err(|what| Trouble::Input {
            what: format!("{}: {what}", path.display()),
        })?);
    }
    let known = survey.partitions();
    let mut moves = Vec::new();
    for (name, target) in changes {
        let of = |p: &&Partition| (p.topic.as_str(), p.index) == (name.0.as_str(), name.1);
        let partition = known.iter().find(of).ok_or_else(|| Trouble::Input {
            what: format!("there is no partition {}", survey::text(&name)),
        })?;
        if partition.replicas != target {
            let partition = partition.clone();
            moves.push(Move { partition, target });
        }
    }
    carry_out(&mut cluster, &args.pace, &survey, moves, BTreeMap::new())
}

fn cancel(cluster: &mut Cluster, args: &Reassign, survey: &Survey) -> Result<(), Trouble> {
    let moving = survey.placed.iter().filter(|(_, placed)| placed.moving);
    let mut names: Vec<Name> = moving.map(|(name, _)| name.clone()).collect();
    if !args.changes.is_empty() {
        let named = args.changes.iter().map(|text| name(text));
        names = named.collect::<Result<_, _>>()?;
    }
    let count = names.len();
    if !args.pace.dry_run && count > 0 {
        let asked = names.into_iter().map(|(topic, index)| (topic, index, None));
        let deadline = Deadline::after(args.pace.target.timeout);
        carry::alter(cluster, asked.collect(), deadline)?;
    }
    if args.pace.target.output == Output::Json {
        return output::json(&json!({ "cancelled": if args.pace.dry_run { 0 } else { count } }));
    }
    let verb = if args.pace.dry_run {
        "would get"
    } else {
        "get"
    };
    let partitions = output::counted(count as u64, "partition");
    output::text(&format!(
        "{partitions} {verb} back the replicas of before\n"
    ))
}

/// `TOPIC-PARTITION`.
fn name(text: &str) -> Result<Name, Trouble> {
    let parts = text.rsplit_once('-');
    let name = parts.and_then(|(topic, index)| Some((topic.to_owned(), index.parse().ok()?)));
    name.ok_or_else(|| Trouble::Usage {
        what: format!("{text:?} is not TOPIC-PARTITION"),
    })
}

/// `TOPIC-PARTITION=NODE,NODE`.
fn typed(text: &str) -> Result<(Name, Vec<i32>), Trouble> {
    let usage = || Trouble::Usage {
        what: format!("{text:?} is not TOPIC-PARTITION=NODE,NODE,..."),
    };
    let (partition, nodes) = text.split_once('=').ok_or_else(usage)?;
    let nodes: Result<Vec<i32>, _> = nodes.split(',').map(|node| node.trim().parse()).collect();
    Ok((name(partition)?, nodes.map_err(|_| usage())?))
}

/// Kafka's form: `{"partitions": [{"topic": ..., "partition": ..., "replicas": [...]}]}`.
fn from_file(text: &str) -> Result<Vec<(Name, Vec<i32>)>, String> {
    let value: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let listed = value["partitions"].as_array();
    let listed = listed.ok_or("it has no list \"partitions\"")?;
    let number = |value: &Value| value.as_i64().and_then(|n| i32::try_from(n).ok());
    let change = |entry: &Value| {
        let topic = entry["topic"].as_str()?.to_owned();
        let replicas = entry["replicas"].as_array()?.iter().map(number);
        let name = (topic, number(&entry["partition"])?);
        Some((name, replicas.collect::<Option<Vec<i32>>>()?))
    };
    let read = |entry: &Value| {
        change(entry).ok_or_else(|| format!("{entry} doesn't name topic, partition and replicas"))
    };
    listed.iter().map(read).collect()
}

fn look(target: &Target) -> Result<(Cluster, Survey), Trouble> {
    let mut cluster = Cluster::new(&target.bootstrap)?;
    let survey = Survey::of(&mut cluster, Deadline::after(target.timeout))?;
    Ok((cluster, survey))
}

/// A node that is to be emptied.
fn close(survey: &mut Survey, node: i32) -> Result<(), Trouble> {
    // Replicas may name a node that is gone: they leave it like any other.
    if !survey.sites.contains_key(&node) && survey.on(node).is_empty() {
        return Err(Trouble::Input {
            what: format!("there is no node {node}"),
        });
    }
    if let Some(site) = survey.sites.get_mut(&node) {
        site.open = false;
    }
    Ok(())
}

fn cordon(cluster: &mut Cluster, node: i32, on: bool, target: &Target) -> Result<(), Trouble> {
    let resource = Resource::of_node(node);
    let edits = match on {
        true => config::edits(&[(CORDON.to_owned(), "*".to_owned())], &[]),
        false => config::edits(&[], &[CORDON.to_owned()]),
    };
    let deadline = Deadline::after(target.timeout);
    config::alter(cluster, &resource, edits, false, deadline)
}

/// What has to move. A node that is only away for a moment would be taken for one that has room, or
/// for one that is to be left; so all that stay have to be there.
fn decide(survey: &Survey, goal: Goal) -> Result<Vec<Move>, Trouble> {
    let away = |node: &&i32| survey.sites.get(*node).is_some_and(|site| site.open);
    if let Some(node) = survey.silent.iter().find(away) {
        return Err(Trouble::Unhealthy {
            what: format!(
                "node {node} is silent; start it, or if it is lost run `flotilla cluster drain {node}`"
            ),
        });
    }
    let moves = plan::plan(&survey.sites, &survey.partitions(), goal);
    moves.map_err(|why| Trouble::Unhealthy {
        what: why.to_string(),
    })
}

fn carry_out(
    cluster: &mut Cluster,
    pace: &Pace,
    survey: &Survey,
    moves: Vec<Move>,
    leaders: BTreeMap<Name, i32>,
) -> Result<(), Trouble> {
    if pace.dry_run {
        show(&pace.target, &moves)?;
        return match pace.target.output {
            Output::Json => Ok(()),
            Output::Text => output::text(&to_lead(leaders.len())),
        };
    }
    let begun: BTreeSet<Name> = moves.iter().map(|m| name_of(&m.partition)).collect();
    let mut all = moves;
    // What an earlier run began belongs to it.
    let partitions = survey.partitions().into_iter();
    let going = partitions.filter(|p| survey.placed[&name_of(p)].moving);
    all.extend(
        going
            .filter(|p| !begun.contains(&name_of(p)))
            .map(|partition| Move {
                target: partition.replicas.clone(),
                partition,
            }),
    );
    if pace.target.output == Output::Text {
        output::text(&format!("{}{}", summary(&all), to_lead(leaders.len())))?;
    }
    let nothing = all.is_empty() && leaders.is_empty();
    let report = Carrier::new(cluster, pace, all, leaders).run()?;
    if pace.target.output == Output::Json {
        return output::json(&json!({ "partitions": report.moved, "bytes": report.bytes }));
    }
    if nothing {
        return Ok(());
    }
    let partitions = output::counted(report.moved as u64, "partition");
    output::text(&format!("done: {partitions} as wanted\n"))
}

fn name_of(partition: &Partition) -> Name {
    (partition.topic.clone(), partition.index)
}

/// The plan: a table for people, Kafka's form for its tool and for `reassign --file`.
fn show(target: &Target, moves: &[Move]) -> Result<(), Trouble> {
    if target.output == Output::Json {
        let entry = |m: &Move| {
            json!({
                "topic": m.partition.topic,
                "partition": m.partition.index,
                "replicas": m.target,
            })
        };
        let partitions: Vec<Value> = moves.iter().map(entry).collect();
        return output::json(&json!({ "version": 1, "partitions": partitions }));
    }
    let mut text = summary(moves);
    if !moves.is_empty() {
        let mut table = Table::new(&["partition", "replicas", "will be", "copied"]);
        for change in moves {
            table.row(vec![
                survey::text(&name_of(&change.partition)),
                output::list(&change.partition.replicas),
                output::list(&change.target),
                output::bytes(change.bytes()),
            ]);
        }
        text.push_str(&table.text());
    }
    output::text(&text)
}

/// Partitions that are led by another replica than their first one.
fn to_lead(count: usize) -> String {
    let partitions = output::counted(count as u64, "partition");
    match count {
        0 => String::new(),
        _ => format!("{partitions} will be led by the first replica again\n"),
    }
}

fn summary(moves: &[Move]) -> String {
    if moves.is_empty() {
        return "nothing has to move\n".to_owned();
    }
    let copies: usize = moves.iter().map(|m| m.adding().len()).sum();
    let gone: usize = moves.iter().map(|m| m.removing().len()).sum();
    let bytes: u64 = moves.iter().map(Move::bytes).sum();
    format!(
        "{}: {} copied ({}), {} removed\n",
        output::counted(moves.len() as u64, "partition"),
        output::counted(copies as u64, "replica"),
        output::bytes(bytes),
        gone,
    )
}

#[cfg(test)]
mod tests;
