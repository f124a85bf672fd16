//! `flotilla cluster plan|rebalance|drain|remove|reassign`: where replicas are and where they go.
//!
//! Everything is asked and done with Kafka's own calls, so it works against any cluster that speaks
//! them. What should move is decided in [`plan`], which touches nothing; [`carry`] carries it out.

mod carry;
mod convoy;
mod drain;
mod plan;
mod survey;

pub use drain::drain;

use crate::args::{Output, Pace, Plan, Reassign, Rebalance, Remove, Target};
use crate::client::deadline::sleep;
use crate::client::{Cluster, Code, Deadline, Trouble};
use crate::cluster_info::{level, quorum};
use crate::output::{self, Table};
use convoy::{Convoy, Report};
use drain::cordon;
use plan::{Goal, Move, Part, Partition};
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
/// How long one answer is waited for before the node counts as lost: longer than the cluster may take.
const PATIENCE: Duration = Duration::from_secs(12);

/// `flotilla cluster plan`.
pub fn show_plan(args: &Plan) -> Result<(), Trouble> {
    let (_, survey) = look(&args.target)?;
    for node in &args.without {
        drain::must_know(&survey, *node)?;
    }
    let moves = match args.without.as_slice() {
        [] => decide(&survey, Goal::Rebalance)?,
        nodes => decide(&drain::without(survey, nodes), Goal::Evacuate)?,
    };
    show(&args.target, &moves)
}

/// `flotilla cluster rebalance`.
pub fn rebalance(args: &Rebalance) -> Result<(), Trouble> {
    let (mut cluster, survey) = look(&args.pace.target)?;
    let moves = decide(&survey, Goal::Rebalance)?;
    let moving: BTreeSet<Name> = moves.iter().map(|m| name_of(&m.partition)).collect();
    let mut leaders = survey.led_by_others();
    leaders.retain(|name, _| !moving.contains(name));
    let going = under_way(&survey);
    for why in takes_no_share(&survey) {
        output::complain(&why);
    }
    carry_out(&mut cluster, &args.pace, moves, going, leaders, false)
}

/// Who expects that a node takes its share of the replicas hears why it doesn't.
fn takes_no_share(survey: &Survey) -> Vec<String> {
    let closed = survey.sites.iter().filter_map(|(node, site)| {
        let why = match site.part {
            Part::Takes => return None,
            Part::Leaves => {
                format!("it is cordoned (`flotilla cluster drain {node} --undo` ends that)")
            }
            Part::Keeps if survey.silent.contains(node) => "it doesn't answer".to_owned(),
            Part::Keeps => "its disk is full".to_owned(),
        };
        Some(format!("node {node} takes no share: {why}"))
    });
    closed.collect()
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
        unregister(&mut cluster, args, deadline)?;
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

fn unregister(cluster: &mut Cluster, args: &Remove, deadline: Deadline) -> Result<(), Trouble> {
    let request = UnregisterBrokerRequest {
        broker_id: args.node,
    };
    let mut held_against_it = None;
    let outcome = cluster.persist_once(deadline, |cluster, may_be_done| {
        loop {
            let answer = cluster.call_controller(&request, deadline)?;
            let code = Code(answer.error_code);
            let gone = may_be_done && code == Code::BROKER_ID_NOT_REGISTERED;
            if code.is_ok() || gone {
                return Ok(());
            }
            let what = format!("removing node {}", args.node);
            let trouble = || Trouble::refused(&what, code, answer.error_message.clone());
            // One with replicas counts as lost only when it was silent for a while.
            let waits = args.lost && code == Code::POLICY_VIOLATION;
            if !waits || deadline.left().is_none() {
                return Err(trouble());
            }
            held_against_it = Some(trouble());
            sleep(VOTE_LOOK);
        }
    });
    // Cut off by the deadline, the last attempt says less than the answer before.
    outcome.map_err(|last| match last.is_retriable() {
        true => held_against_it.unwrap_or(last),
        false => last,
    })
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
    let runs = !survey.silent.contains(&node);
    if replicas > 0 && !lost {
        let replicas = output::counted(replicas, "replica");
        let or = match runs {
            true => "",
            false => ", or say --lost if its disk is lost",
        };
        return Some(format!(
            "it has {replicas}; run `flotilla cluster drain {node}` first{or}"
        ));
    }
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
    let (mut moves, mut named) = (Vec::new(), BTreeSet::new());
    for (name, target) in changes {
        let of = |p: &&Partition| (p.topic.as_str(), p.index) == (name.0.as_str(), name.1);
        let partition = known.iter().find(of).ok_or_else(|| Trouble::Input {
            what: format!("there is no partition {}", survey::text(&name)),
        })?;
        if partition.replicas != target {
            let partition = partition.clone();
            moves.push(Move { partition, target });
        }
        named.insert(name);
    }
    let mut going = under_way(&survey);
    if named.is_empty() && going.is_empty() && args.pace.target.output == Output::Text {
        return output::text("nothing is moving\n");
    }
    // Who names partitions doesn't wait for others.
    going.retain(|m| named.is_empty() || named.contains(&name_of(&m.partition)));
    carry_out(
        &mut cluster,
        &args.pace,
        moves,
        going,
        BTreeMap::new(),
        true,
    )
}

fn cancel(cluster: &mut Cluster, args: &Reassign, survey: &Survey) -> Result<(), Trouble> {
    let moving = survey.placed.iter().filter(|(_, placed)| placed.moving);
    let mut names: Vec<Name> = moving.map(|(name, _)| name.clone()).collect();
    if !args.changes.is_empty() {
        let named = args.changes.iter().map(|text| name(text));
        names = named.collect::<Result<_, _>>()?;
    }
    let mut count = names.len();
    if !args.pace.dry_run && count > 0 {
        let asked = names.into_iter().map(|name| (name, None));
        let deadline = Deadline::after(args.pace.target.timeout);
        let refused = carry::alter(cluster, asked.collect(), deadline)?;
        // What has arrived meanwhile, or was deleted, is no error unless it was named.
        let over = [
            Code::NO_REASSIGNMENT_IN_PROGRESS,
            Code::UNKNOWN_TOPIC_OR_PARTITION,
        ];
        let all = args.changes.is_empty();
        let mut wrong = refused.iter();
        if let Some((name, why)) = wrong.find(|(_, why)| !(all && over.contains(&why.code))) {
            return Err(why.trouble(name));
        }
        count -= refused.len();
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
    let mut cluster = Cluster::new(&target.bootstrap)?.patient_for(PATIENCE);
    let survey = Survey::of(&mut cluster, Deadline::after(target.timeout))?;
    Ok((cluster, survey))
}

/// What has to move. A node that is only away for a moment would be taken for one that has room, or
/// for one that is to be left; so all that have replicas have to be there if they are to carry alike.
fn decide(survey: &Survey, goal: Goal) -> Result<Vec<Move>, Trouble> {
    let leaves = |node: i32| survey.sites.get(&node).map(|site| site.part) == Some(Part::Leaves);
    let holds = |node: &&i32| !leaves(**node) && !survey.on(**node).is_empty();
    if let Some(node) = survey.silent.iter().find(holds)
        && goal == Goal::Rebalance
    {
        let replicas = output::counted(survey.on(*node).len() as u64, "replica");
        return Err(Trouble::Unhealthy {
            what: format!(
                "node {node} is silent and has {replicas}; start it, or if it is lost run \
                 `flotilla cluster drain {node}`"
            ),
        });
    }
    let mut partitions = survey.partitions();
    // A move that waits for a silent node counts as not begun: what it was to take goes elsewhere.
    for partition in &mut partitions {
        let placed = &survey.placed[&name_of(partition)];
        let before = placed.before();
        if !placed.awaited().is_empty() && before.iter().any(|node| leaves(*node)) {
            partition.replicas = before;
        }
    }
    let moves = plan::plan(&survey.sites, &partitions, goal);
    moves.map_err(|why| {
        let given_none = given_none(survey);
        Trouble::Unhealthy {
            what: format!("{why}{given_none}"),
        }
    })
}

/// The nodes that get no replicas whoever is drained, for people, in brackets.
fn given_none(survey: &Survey) -> String {
    let closed = survey
        .sites
        .iter()
        .filter(|(_, site)| site.part == Part::Keeps);
    let closed = closed.map(|(node, _)| *node);
    let (silent, heard): (Vec<i32>, Vec<i32>) =
        closed.partition(|node| survey.silent.contains(node));
    let (full, cordoned): (Vec<i32>, Vec<i32>) = heard
        .into_iter()
        .partition(|node| survey.full.contains(node));
    let told = [("silent", silent), ("full", full), ("cordoned", cordoned)].into_iter();
    let told = told.filter(|(_, nodes)| !nodes.is_empty());
    let told: Vec<String> = told
        .map(|(what, nodes)| format!("{what}: {}", output::list(&nodes)))
        .collect();
    match told.as_slice() {
        [] => String::new(),
        told => format!(" ({})", told.join("; ")),
    }
}

/// What moves already, for whomever.
fn under_way(survey: &Survey) -> Vec<Move> {
    let change = |partition: Partition| {
        let placed = &survey.placed[&name_of(&partition)];
        let target = partition.replicas.clone();
        let partition = Partition {
            replicas: placed.before(),
            ..partition
        };
        placed.moving.then_some(Move { partition, target })
    };
    survey.partitions().into_iter().filter_map(change).collect()
}

fn carry_out(
    cluster: &mut Cluster,
    pace: &Pace,
    moves: Vec<Move>,
    mut going: Vec<Move>,
    leaders: BTreeMap<Name, i32>,
    absolute: bool,
) -> Result<(), Trouble> {
    if pace.dry_run {
        show(&pace.target, &moves)?;
        return match pace.target.output {
            Output::Json => Ok(()),
            Output::Text => output::text(&to_lead(leaders.len())),
        };
    }
    let begun: BTreeSet<Name> = moves.iter().map(|m| name_of(&m.partition)).collect();
    going.retain(|m| !begun.contains(&name_of(&m.partition)));
    let all = [&moves[..], &going[..]].concat();
    if pace.target.output == Output::Text {
        output::text(&format!("{}{}", summary(&all), to_lead(leaders.len())))?;
    }
    let nothing = all.is_empty() && leaders.is_empty();
    let convoy = Convoy::new(usize::from(pace.at_once), moves, going, leaders);
    let convoy = if absolute { convoy.absolute() } else { convoy };
    let report = carry::carry(cluster, pace, convoy)?;
    if !report.changed.is_empty() {
        return Err(Trouble::Unhealthy {
            what: format!(
                "somebody else changed {} meanwhile; look at it and run the command again",
                convoy::some(report.changed.iter())
            ),
        });
    }
    if pace.target.output == Output::Json {
        return output::json(&report_json(&report));
    }
    if nothing {
        return Ok(());
    }
    output::text(&told(&report))
}

/// What came of it, for people.
fn told(report: &Report) -> String {
    let partitions = output::counted(report.moved as u64, "partition");
    match report.gone {
        0 => format!("done: {partitions} as wanted\n"),
        gone => format!("done: {partitions} as wanted, {gone} deleted meanwhile\n"),
    }
}

/// The same for scripts.
fn report_json(report: &Report) -> Value {
    json!({ "partitions": report.moved, "bytes": report.bytes, "gone": report.gone })
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
        "{}: {} to be copied ({}), {} to be removed\n",
        output::counted(moves.len() as u64, "partition"),
        output::counted(copies as u64, "replica"),
        output::bytes(bytes),
        gone,
    )
}

#[cfg(test)]
mod tests;
