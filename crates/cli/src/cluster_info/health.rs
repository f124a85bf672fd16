//! `flotilla cluster status`, `health` and `nodes`: is everything as it should be, and what not.

use super::view::View;
use crate::args::{Health, Info, Output};
use crate::client::deadline::sleep;
use crate::client::{Cluster, Deadline, Trouble};
use crate::output::{self, Table};
use serde_json::{Value, json};
use std::io::ErrorKind;
use std::time::Duration;

/// Between two looks of `health --wait`.
const LOOK: Duration = Duration::from_millis(200);

/// `flotilla cluster nodes`.
pub fn nodes(args: &Info) -> Result<(), Trouble> {
    let view = look(args)?;
    match args.target.output {
        Output::Json => output::json(&Value::Array(nodes_json(&view))),
        Output::Text => output::text(&nodes_table(&view)),
    }
}

/// `flotilla cluster status`.
pub fn status(args: &Info) -> Result<(), Trouble> {
    let view = look(args)?;
    let problems = view.problems();
    if args.target.output == Output::Json {
        return output::json(&json!({
            "id": view.id,
            "controller": view.controller.0,
            "epoch": view.controller.1,
            "topics": view.topics,
            "partitions": view.partitions,
            "nodes": nodes_json(&view),
            "healthy": problems.is_empty(),
            "problems": problems,
        }));
    }
    let alive = view.nodes.values().filter(|n| n.is_alive()).count();
    output::text(&format!(
        "cluster {}: {alive} of {} alive, {}, {}; node {} leads the metadata\n{}{}",
        view.id,
        output::counted(view.nodes.len() as u64, "node"),
        output::counted(view.topics as u64, "topic"),
        output::counted(view.partitions as u64, "partition"),
        view.controller.0,
        nodes_table(&view),
        lines(&problems),
    ))
}

/// `flotilla cluster health`: ends with 1 if something is wrong.
pub fn health(args: &Health) -> Result<(), Trouble> {
    let deadline = Deadline::after(args.target.timeout);
    let mut cluster = Cluster::new(&args.target.bootstrap)?.patient_for(Duration::from_secs(5));
    let mut seen = None;
    let problems = loop {
        let view = View::of(&mut cluster, deadline).map(|view| view.problems());
        let outcome = telling(seen.take(), view);
        let good = outcome.as_ref().is_ok_and(Vec::is_empty);
        if good || !args.wait || deadline.left().is_none() {
            break outcome?;
        }
        seen = Some(outcome);
        sleep(LOOK);
    };
    match args.target.output {
        Output::Json => output::json(&json!({
            "healthy": problems.is_empty(),
            "problems": problems,
        }))?,
        Output::Text => output::text(&lines(&problems))?,
    }
    match problems.len() {
        0 => Ok(()),
        count => Err(Trouble::Unhealthy {
            what: output::counted(count as u64, "problem"),
        }),
    }
}

/// Of two looks the one that says more. What was wrong a moment ago says more than that the last look was
/// cut off, and why nobody could be reached more than that there was no time left to try.
fn telling<T>(before: Option<Result<T, Trouble>>, now: Result<T, Trouble>) -> Result<T, Trouble> {
    let cut_off = |trouble: &Trouble| match trouble {
        Trouble::Unreachable { source, .. } => source.kind() == ErrorKind::TimedOut,
        _ => false,
    };
    match (before, now) {
        (Some(Ok(problems)), Err(_)) => Ok(problems),
        (Some(Err(before)), Err(now)) if cut_off(&now) => Err(before),
        (_, now) => now,
    }
}

fn look(args: &Info) -> Result<View, Trouble> {
    let mut cluster = Cluster::new(&args.target.bootstrap)?;
    View::of(&mut cluster, Deadline::after(args.target.timeout))
}

fn lines(problems: &[String]) -> String {
    match problems {
        [] => "healthy\n".to_owned(),
        _ => problems.iter().map(|line| format!("- {line}\n")).collect(),
    }
}

fn nodes_json(view: &View) -> Vec<Value> {
    let row = |(id, node): (&i32, &super::view::Node)| {
        json!({
            "node": id,
            "address": node.address,
            "rack": node.rack,
            "state": node.state(),
            "controller": *id == view.controller.0,
            "votes": node.votes,
            "leads": node.leads,
            "preferred": node.preferred,
            "replicas": node.replicas,
        })
    };
    view.nodes.iter().map(row).collect()
}

fn nodes_table(view: &View) -> String {
    let headings = [
        "node",
        "address",
        "rack",
        "state",
        "metadata",
        "leads",
        "preferred",
        "replicas",
    ];
    let mut table = Table::new(&headings);
    for (id, node) in &view.nodes {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
        let part = match (*id == view.controller.0, node.votes) {
            (true, _) => "leads",
            (false, true) => "votes",
            (false, false) => "follows",
        };
        table.row(vec![
            id.to_string(),
            or_dash(&node.address),
            or_dash(&node.rack),
            node.state().into(),
            part.into(),
            node.leads.to_string(),
            node.preferred.to_string(),
            node.replicas.to_string(),
        ]);
    }
    table.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_look_that_says_more_is_told() {
        let unreachable = |kind: ErrorKind| Trouble::Unreachable {
            address: "h:1".to_owned(),
            source: kind.into(),
        };
        let refused = || Err::<u8, _>(unreachable(ErrorKind::ConnectionRefused));
        let late = || Err::<u8, _>(unreachable(ErrorKind::TimedOut));
        let told = |before, now| telling(before, now).map_err(|trouble| trouble.to_string());
        assert_eq!(told(Some(Ok(1)), refused()), Ok(1));
        assert_eq!(told(Some(Ok(1)), Ok(2)), Ok(2));
        let why = told(Some(refused()), late()).expect_err("nobody is there");
        assert!(why.contains("refused"), "{why}");
        let why = told(Some(late()), refused()).expect_err("nobody is there");
        assert!(why.contains("refused"), "{why}");
        assert!(told(None, late()).is_err());
    }
}
