//! Where nodes live: the address at which other nodes reach each of them, and its data directory.
//!
//! A node that forms a cluster has generation 0 in it, one that joins is given the next one of its
//! number. An erased directory is another one: it isn't let in under a number that is known with
//! the one before, for what that has voted and acknowledged is gone. Once the number is unregistered
//! it may join anew, as the next generation, which nobody takes for the one before.

use crate::records::Record;
use crate::{GENERATIONS_NAMED, Image, Meta, Reply};
use base::{Decision, Mark, NodeId, Refusal, Uuid, mark};
use std::sync::Arc;

/// Where a node lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// Where other nodes reach it.
    pub address: String,
    /// Its data directory's incarnation.
    pub directory: Uuid,
    /// The release that it runs.
    pub release: String,
    /// Which of the directories that lived under its number this is; 0 for one that formed the
    /// cluster.
    pub generation: u32,
}

impl Image {
    /// True if a node was of the cluster and was unregistered: nobody speaks with it any more. One
    /// that is newer than this image hasn't left.
    pub fn has_left(&self, node: NodeId) -> bool {
        self.generations.contains_key(&node) && !self.homes.contains_key(&node)
    }

    /// The generation that lives, or lived last, under a number: what a command that takes it out means.
    /// One that comes late then does nothing to a node that was given the number since. None below the
    /// level that knows.
    pub fn last_of(&self, node: NodeId) -> Option<u32> {
        let last = self.generations.get(&node).copied();
        last.filter(|_| self.level >= GENERATIONS_NAMED)
    }

    /// True if it did so after the image before. One that had left by then and is spoken with all the
    /// same is newer than both.
    pub fn has_left_since(&self, before: &Image, node: NodeId) -> bool {
        self.has_left(node) && !before.has_left(node)
    }
}

impl Meta {
    /// Takes a node in, or where it lives now. `joins`: it has no generation yet.
    pub(crate) fn introduce(&self, node: NodeId, mut home: Home, joins: bool) -> Decision<Reply> {
        let refused = |why: String| Decision {
            records: Vec::new(),
            reply: Reply::Introduced(Err(Refusal::InvalidRequest(why))),
        };
        let known = self.image.homes.get(&node);
        let last = self.image.generations.get(&node).copied();
        match known {
            Some(known) if known.directory == home.directory => home.generation = known.generation,
            Some(known) => {
                return refused(format!(
                    "node {node} lives in another data directory (incarnation {}); give this one \
                     a number of its own, or, if that directory is lost, give that up first: \
                     flotilla cluster remove {node} --lost",
                    known.directory
                ));
            }
            None if joins => home.generation = last.map_or(1, |last| last.saturating_add(1)),
            None if last.is_some_and(|last| home.generation < last) => {
                return refused(format!(
                    "node {node} was given to another data directory after it was unregistered; \
                     empty this one and join under another number"
                ));
            }
            None => {}
        }
        if joins {
            mark(Mark::NodeTakenIn);
        }
        let generation = home.generation;
        let news = known.is_none_or(|known| **known != home);
        Decision {
            records: match news {
                true => vec![Record::NodeHoused { node, home }.encode()],
                false => Vec::new(),
            },
            reply: Reply::Introduced(Ok(generation)),
        }
    }

    pub(crate) fn house(&mut self, node: NodeId, home: Home) {
        let last = self.image.generations.entry(node).or_default();
        *last = home.generation.max(*last);
        let known = self.image.homes.get(&node);
        let same =
            |known: &Home| (known.directory, &known.release) == (home.directory, &home.release);
        if known.is_some_and(|known| !same(known)) {
            // Another binary may read other levels; a newer one says so.
            self.image.levels.remove(&node);
        }
        self.image.homes.insert(node, Arc::new(home));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Command, Defaults};

    fn home(directory: u8, address: &str, generation: u32) -> Home {
        Home {
            address: address.to_owned(),
            directory: Uuid([directory; 16]),
            release: "1".to_owned(),
            generation,
        }
    }

    fn introduce(meta: &mut Meta, home: Home, joins: bool) -> Result<u32, Refusal> {
        let node = NodeId(4);
        match meta.obey(Command::IntroduceNode { node, home, joins }) {
            Reply::Introduced(outcome) => outcome,
            other => panic!("{other:?}"),
        }
    }

    fn unregister(meta: &mut Meta, generation: Option<u32>) -> Result<(), Refusal> {
        let node = NodeId(4);
        match meta.obey(Command::UnregisterNode { node, generation }) {
            Reply::Each(mut parts) => parts.remove(0),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_directory_keeps_its_generation_and_another_one_has_to_wait_for_the_number() {
        let mut meta = Meta::new(Defaults::default());
        assert_eq!(introduce(&mut meta, home(1, "a:1", 0), true), Ok(1));
        // It comes again from another address, also as one that would join.
        assert_eq!(introduce(&mut meta, home(1, "b:1", 1), false), Ok(1));
        assert_eq!(introduce(&mut meta, home(1, "c:1", 0), true), Ok(1));
        assert_eq!(meta.image(1).homes[&NodeId(4)].address, "c:1");

        // Erased: the number isn't free as long as somebody may count on what was there.
        let refused = introduce(&mut meta, home(2, "c:1", 0), true).expect_err("another one");
        assert!(
            refused.to_string().contains("another data directory"),
            "{refused}"
        );
        let node = NodeId(4);
        let register = Command::RegisterNode {
            node,
            info: crate::NodeInfo::default(),
        };
        meta.obey(register.clone());
        unregister(&mut meta, None).expect("it has no replicas");
        assert_eq!(introduce(&mut meta, home(2, "c:1", 0), true), Ok(2));
        introduce(&mut meta, home(1, "a:1", 1), false).expect_err("its number is another's now");

        meta.obey(register);
        // What was meant for the one before comes late.
        let late = unregister(&mut meta, Some(1)).expect_err("another one lives there");
        assert!(late.to_string().contains("given to another one"), "{late}");
        assert_eq!(meta.image(1).last_of(node), Some(2));
        // One that lives and is unregistered says so and is back.
        unregister(&mut meta, Some(2)).expect("it has no replicas");
        assert_eq!(introduce(&mut meta, home(2, "c:1", 2), false), Ok(2));
    }

    #[test]
    fn one_that_formed_the_cluster_says_where_it_lives() {
        let mut meta = Meta::new(Defaults::default());
        assert_eq!(introduce(&mut meta, home(1, "a:1", 0), false), Ok(0));
        assert_eq!(introduce(&mut meta, home(1, "a:1", 0), false), Ok(0));
        introduce(&mut meta, home(2, "a:1", 0), true).expect_err("an erased one");
    }
}
