//! `flotilla cluster drain`: a node gets no replicas any more, and those that it has go elsewhere.

use super::convoy::{Convoy, Report};
use super::plan::{Goal, Move, Part, Site};
use super::survey::{Name, Survey};
use super::{carry, decide, look, told, under_way};
use crate::args::{Drain, Output, Resource, Target};
use crate::client::{Cluster, Deadline, Trouble};
use crate::{config, output};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// The key of a node on which nothing new is to be placed; `*` means all its directories.
const CORDON: &str = "cordoned.log.dirs";
/// How often a node is looked at again that isn't empty though everything arrived: somebody else moved
/// what was to be moved, or something was on its way there.
const ROUNDS_MAX: usize = 5;

/// `flotilla cluster drain`.
pub fn drain(args: &Drain) -> Result<(), Trouble> {
    let (node, target) = (args.node, &args.pace.target);
    let (mut cluster, survey) = look(target)?;
    must_know(&survey, node)?;
    if args.undo {
        cordon(&mut cluster, node, false, target)?;
        return match target.output {
            Output::Json => output::json(&json!({ "node": node, "cordoned": false })),
            Output::Text => output::text(&format!("node {node} takes replicas again\n")),
        };
    }
    // What can't be done is refused before anything changes.
    let takes = survey.sites.get(&node).map(|site| site.part) == Some(Part::Takes);
    let was_open = takes || survey.full.contains(&node);
    let moves = decide(&without(survey, &[node]), Goal::Evacuate)?;
    if args.pace.dry_run {
        return super::show(target, &moves);
    }
    cordon(&mut cluster, node, true, target)?;
    let emptied = empty(&mut cluster, args, was_open)?;
    if target.output == Output::Json {
        return output::json(&super::report_json(&emptied.report));
    }
    let remove = format!("run `flotilla cluster remove {node}`");
    output::text(&match emptied.runs {
        true => format!("node {node} is empty: stop it, then {remove}\n"),
        false => format!("node {node} is empty and doesn't run: {remove}\n"),
    })
}

/// A node that has nothing any more.
struct Emptied {
    runs: bool,
    report: Report,
}

/// Moves away what a cordoned node has, until it has nothing.
fn empty(cluster: &mut Cluster, args: &Drain, was_open: bool) -> Result<Emptied, Trouble> {
    let (node, target) = (args.node, &args.pace.target);
    let mut all = Report::default();
    for round in 0..ROUNDS_MAX {
        let survey = Survey::of(cluster, Deadline::after(target.timeout))?;
        let runs = !survey.silent.contains(&node);
        let left = survey.on(node).len();
        if left == 0 && round > 0 {
            return Ok(Emptied { runs, report: all });
        }
        let survey = without(survey, &[node]);
        let moves = match decide(&survey, Goal::Evacuate) {
            Ok(moves) => moves,
            Err(why) => {
                if was_open {
                    cordon(cluster, node, false, target)?;
                }
                return Err(why);
            }
        };
        let mut going = under_way(&survey);
        // What others move elsewhere is theirs.
        let here: BTreeSet<&Name> = survey.on(node).into_iter().collect();
        going.retain(|m| here.contains(&super::name_of(&m.partition)));
        let report = in_one_go(cluster, args, moves, going)?;
        all.moved += report.moved;
        all.gone += report.gone;
        all.bytes += report.bytes;
    }
    let left = Survey::of(cluster, Deadline::after(target.timeout))?
        .on(node)
        .len();
    Err(Trouble::Unhealthy {
        what: format!(
            "node {node} has {} still: others gave it some meanwhile; run the command again",
            output::counted(left as u64, "replica"),
        ),
    })
}

fn in_one_go(
    cluster: &mut Cluster,
    args: &Drain,
    moves: Vec<Move>,
    mut going: Vec<Move>,
) -> Result<Report, Trouble> {
    let moving: BTreeSet<Name> = moves.iter().map(|m| super::name_of(&m.partition)).collect();
    going.retain(|m| !moving.contains(&super::name_of(&m.partition)));
    if args.pace.target.output == Output::Text {
        let all = [&moves[..], &going[..]].concat();
        output::text(&super::summary(&all))?;
    }
    let at_once = usize::from(args.pace.at_once);
    let convoy = Convoy::new(at_once, moves, going, BTreeMap::new()).elsewhere();
    let mut report = carry::carry(cluster, &args.pace, convoy)?;
    // Those are looked at again.
    report.changed.clear();
    if args.pace.target.output == Output::Text {
        output::text(&told(&report))?;
    }
    Ok(report)
}

/// A cluster in which some nodes are to be emptied; whatever else is closed stays as it is.
pub fn without(mut survey: Survey, nodes: &[i32]) -> Survey {
    let named = survey.placed.values().flat_map(|p| p.replicas.clone());
    for node in named.collect::<BTreeSet<i32>>() {
        // Replicas may name a node that is gone.
        let site = Site {
            rack: None,
            part: Part::Keeps,
        };
        survey.sites.entry(node).or_insert(site);
    }
    for (node, site) in &mut survey.sites {
        site.part = match site.part {
            _ if nodes.contains(node) => Part::Leaves,
            Part::Leaves => Part::Keeps,
            part => part,
        };
    }
    survey
}

/// Refuses a node that nobody knows.
pub fn must_know(survey: &Survey, node: i32) -> Result<(), Trouble> {
    // Replicas may name a node that is gone: they leave it like any other.
    if survey.sites.contains_key(&node) || !survey.on(node).is_empty() {
        return Ok(());
    }
    let known: Vec<i32> = survey.sites.keys().copied().collect();
    Err(Trouble::Input {
        what: format!(
            "there is no node {node}; the cluster has nodes {}",
            output::list(&known)
        ),
    })
}

/// Closes a node to new replicas, or opens it.
pub fn cordon(cluster: &mut Cluster, node: i32, on: bool, target: &Target) -> Result<(), Trouble> {
    let resource = Resource::of_node(node);
    let edits = match on {
        true => config::edits(&[(CORDON.to_owned(), "*".to_owned())], &[]),
        false => config::edits(&[], &[CORDON.to_owned()]),
    };
    let deadline = Deadline::after(target.timeout);
    config::alter(cluster, &resource, edits, false, deadline)
}
