//! Nodes that come and go: one that joins later, one that is drained and forgotten, one whose disk
//! is lost. What an operator does about it is done here, step by step, by asking any node that runs, again
//! and again until it is so.

use super::{Event, World};
use crate::checkers::Checked;
use crate::net::Place;
use crate::node::process::node_id;
use crate::plan::faults::Crash;
use crate::plan::fleet::Change;
use crate::plan::{CHAOS, SECOND};
use crate::scheduler::Micros;
use base::{NodeId, Refusal, Uuid};
use meta::{Command, ConfigChange, Edit, Home, Reassignment, Resource, ResourceKind};
use shard::{Reply, ReplySink, ReplyTo};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How often the operator looks.
const LOOK_EVERY: Micros = 300_000;
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where an answer goes.
#[derive(Default)]
struct Said(Mutex<Option<Reply>>);

impl ReplySink for Said {
    fn reply(&self, _: u64, reply: Reply) {
        *self.0.lock().expect("one thread") = Some(reply);
    }
}

/// One thing to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// Nothing is to be on the node any more.
    Empty,
    /// Its directory is gone.
    Erase,
    /// It is to get nothing new, and to vote on metadata no more.
    Cordon,
    /// It is forgotten.
    Unregister,
    /// An empty directory is taken in under its number.
    Join,
    /// Topics of which nothing is left are deleted.
    Delete,
}

/// What becomes of one node.
pub(super) struct Job {
    place: Place,
    steps: VecDeque<Step>,
    /// What was asked last, and since when it is waited for.
    asked: Option<(Arc<Said>, Micros)>,
}

impl World {
    /// A node comes or goes from now on, or when the one before has: nobody takes two out of three.
    pub(super) fn begin_change(&mut self, nth: usize) -> Checked {
        use Step::{Cordon, Empty, Erase, Join, Unregister};
        let (_, place, change) = self.plan.fleet[nth];
        let now = self.scheduler.now();
        let latest = match change {
            Change::Join => Micros::MAX,
            Change::Replace => CHAOS - 5 * SECOND,
            // Everything on it moves, twice.
            Change::Leave => CHAOS - 15 * SECOND,
        };
        if now > latest {
            return Ok(());
        }
        if self.changing().is_some() {
            self.scheduler.after(SECOND, Event::Begin { nth });
            return Ok(());
        }
        self.trace
            .tell(now, || format!("CHANGE node {}: {change:?}", place + 1));
        let steps: &[Step] = match change {
            Change::Join => &[Join],
            Change::Replace => &[Erase, Cordon, Unregister, Join],
            Change::Leave => &[Cordon, Empty, Erase, Cordon, Unregister, Join],
        };
        let nth = self.add_job(place, steps);
        self.work_on(nth)
    }

    fn add_job(&mut self, place: Place, steps: &[Step]) -> usize {
        self.fleet.push(Job {
            place,
            steps: steps.iter().copied().collect(),
            asked: None,
        });
        self.fleet.len() - 1
    }

    /// An empty directory is to be taken in under the number of a node that was lost, from some time on.
    pub(super) fn let_join(&mut self, place: Place, wait: Micros) {
        let nth = self.add_job(place, &[Step::Join]);
        self.scheduler.after(wait, Event::Change { nth });
    }

    /// Topics are to be deleted.
    pub(super) fn delete_forsaken(&mut self, place: Place) {
        let nth = self.add_job(place, &[Step::Delete]);
        self.scheduler.after(SECOND, Event::Change { nth });
    }

    /// A node that is still to come, or to go and come back.
    pub(super) fn changing(&self) -> Option<NodeId> {
        let mut open = self.fleet.iter().filter(|job| !job.steps.is_empty());
        open.next().map(|job| node_id(job.place))
    }

    /// The operator looks what came of what he asked for, and asks on.
    pub(super) fn work_on(&mut self, nth: usize) -> Checked {
        let now = self.scheduler.now();
        let waits = match self.fleet[nth].asked.take() {
            None => false,
            Some((said, since)) => {
                let reply = said.0.lock().expect("one thread").take();
                let waits = reply.is_none() && now < since + 2 * SECOND;
                match reply {
                    Some(reply) => self.answered(nth, reply),
                    None if waits => self.fleet[nth].asked = Some((said, since)),
                    None => {}
                }
                waits
            }
        };
        if !waits {
            self.take_step(nth);
        }
        if !self.fleet[nth].steps.is_empty() {
            self.scheduler.after(LOOK_EVERY, Event::Change { nth });
        }
        Ok(())
    }

    fn take_step(&mut self, nth: usize) {
        let (place, step) = (
            self.fleet[nth].place,
            self.fleet[nth].steps.front().copied(),
        );
        let node = node_id(place);
        match step {
            None => {}
            Some(Step::Erase) => {
                self.erase(place);
                self.fleet[nth].steps.pop_front();
                self.take_step(nth);
            }
            Some(Step::Cordon) => self.ask(nth, cordon(node)),
            Some(Step::Unregister) => {
                let generation = None;
                self.ask(nth, Command::UnregisterNode { node, generation });
            }
            Some(Step::Join) => {
                let home = Home {
                    generation: 0,
                    ..self.nodes[place].home.clone()
                };
                let joins = true;
                self.ask(nth, Command::IntroduceNode { node, home, joins });
            }
            Some(Step::Delete) => {
                let topics = self.forsaken();
                self.ask(nth, Command::DeleteTopics { topics });
            }
            Some(Step::Empty) => match self.moves_off(node) {
                None => {}
                Some(changes) if changes.is_empty() => {
                    self.fleet[nth].steps.pop_front();
                    self.take_step(nth);
                }
                Some(changes) => {
                    let keep_factor = false;
                    self.ask(
                        nth,
                        Command::Reassign {
                            changes,
                            keep_factor,
                        },
                    );
                }
            },
        }
    }

    /// The directory is lost, and nobody starts the node again before it was taken in anew.
    pub(super) fn erase(&mut self, place: Place) {
        if self.nodes[place].process.is_some() {
            self.crashed(place, Crash::Power, 1);
        }
        let directories = self.nodes[place].directories + 1;
        let directory = Uuid::from_random(self.plan.seed, directories * 1_000 + place as u64);
        let plan = &self.plan;
        let node = &mut self.nodes[place];
        node.erase(plan, directory);
        node.directories = directories;
        self.checkers.kept.erased(place as u32 + 1);
    }

    /// Any node that is up is asked. Who is to be unregistered is the one that it knows.
    fn ask(&mut self, nth: usize, mut command: Command) {
        let now = self.scheduler.now();
        let up: Vec<Place> = (0..self.plan.nodes)
            .filter(|place| self.nodes[*place].process.is_some())
            .collect();
        if up.is_empty() {
            return;
        }
        let by = up[self.random.below(up.len() as u64) as usize];
        if let Command::UnregisterNode { node, generation } = &mut command {
            let process = self.nodes[by].process.as_ref();
            *generation = process.and_then(|process| process.broker.image().last_of(*node));
        }
        self.trace
            .tell(now, || format!("  node {} is asked: {command:?}", by + 1));
        let said = Arc::new(Said::default());
        let to = ReplyTo {
            sink: said.clone(),
            ticket: 0,
        };
        let deadline = self.nodes[by].now(now).mono.after(PATIENCE);
        let command = shard::Command::Meta { command, deadline };
        self.leave(by, vec![shard::Event::Command(command, Some(to))]);
        self.fleet[nth].asked = Some((said, now));
    }

    fn answered(&mut self, nth: usize, reply: Reply) {
        let (place, step) = (
            self.fleet[nth].place,
            self.fleet[nth].steps.front().copied(),
        );
        let now = self.scheduler.now();
        self.trace
            .tell(now, || format!("  node {}, {step:?}: {reply:?}", place + 1));
        let Reply::Meta(Ok(reply)) = reply else {
            return;
        };
        match (step, reply) {
            (Some(Step::Cordon), meta::Reply::Each(parts)) if parts.iter().all(Result::is_ok) => {
                self.fleet[nth].steps.pop_front();
            }
            (Some(Step::Unregister), meta::Reply::Each(parts)) => {
                self.fleet[nth].steps.pop_front();
                // The answer to an earlier question may be lost.
                let gone = |part: &Result<(), Refusal>| {
                    matches!(part, Ok(()) | Err(Refusal::UnknownNode(_)))
                };
                if !parts.iter().all(gone) {
                    // Somebody else may have lifted the cordon.
                    self.fleet[nth].steps.push_front(Step::Unregister);
                    self.fleet[nth].steps.push_front(Step::Cordon);
                }
            }
            (Some(Step::Join), meta::Reply::Introduced(Ok(generation))) => {
                self.fleet[nth].steps.pop_front();
                let node = &mut self.nodes[place];
                node.home.generation = generation;
                node.out = false;
                self.scheduler.at(now, Event::Start { node: place });
            }
            (Some(Step::Delete), meta::Reply::TopicsDeleted(parts)) => {
                let gone =
                    |part: &Result<_, Refusal>| matches!(part, Ok(_) | Err(Refusal::UnknownTopic));
                if parts.iter().all(gone) {
                    self.fleet[nth].steps.pop_front();
                }
            }
            _ => {}
        }
    }

    /// What has to move for a node to be empty; none while nobody knows.
    fn moves_off(&mut self, node: NodeId) -> Option<Vec<Reassignment>> {
        let processes = self.nodes.iter().filter_map(|node| node.process.as_ref());
        let images = processes.map(|process| process.broker.image());
        let image = images.max_by_key(|image| image.version)?;
        let mut changes = Vec::new();
        for topic in image.topics.values() {
            for (info, partition) in topic.partitions.iter().zip(0..) {
                if info.member_on(node).is_none() {
                    continue;
                }
                let target = info.target().into_iter().map(|member| member.node);
                let mut target: Vec<NodeId> = target.filter(|other| *other != node).collect();
                let others = image.nodes.keys().copied();
                let others = others.filter(|other| *other != node && !target.contains(other));
                let others: Vec<NodeId> = others.collect();
                if !others.is_empty() && target.len() < 3 {
                    target.push(others[self.random.below(others.len() as u64) as usize]);
                }
                changes.push(Reassignment {
                    topic: topic.name.clone(),
                    partition: base::Partition(partition),
                    target: Some(target),
                });
            }
        }
        Some(changes)
    }
}

fn cordon(node: NodeId) -> Command {
    let change = ConfigChange {
        resource: Resource::new(ResourceKind::Node, node.to_string()),
        edits: vec![(meta::CORDONED.into(), Edit::Set("*".into()))],
        replace: false,
    };
    Command::AlterConfigs {
        changes: vec![change],
        validate_only: false,
    }
}
