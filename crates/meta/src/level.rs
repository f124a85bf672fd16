//! The cluster's level: what its nodes may write, so that all of them can read it.
//!
//! Each binary reads the levels of [`LEVELS`] and says so for its node. A cluster stays at its level
//! while its nodes are replaced by newer binaries, and the old ones may come back; raising the level
//! is a step of its own, which nothing takes back. A new cluster begins at the newest one.
//!
//! Whoever adds a record, or a layout of one, writes it at a new level only: a binary that doesn't
//! know it would skip the fact and believe something else from then on. (What a node can read may be
//! written at any level: whoever skips it has no use for it.)
//!
//! | level | new |
//! |---|---|
//! | 1 | everything up to the first release of levels |
//! | 2 | the level itself; other voters of the controller's group ([`VOTERS_CHANGE`]) |
//! | 3 | checkpoints keep the metadata, and group 0's log gets shorter ([`METADATA_KEPT`]); groups may go on without their majority ([`RECOVERY`]) |
//! | 4 | configurations of groups, and the word that a group has arrived, name their aim ([`AIMS_NAMED`]) |
//! | 5 | replicas that were renewed are known as such until they are there ([`RENEWALS_KEPT`]); a recovery leaves out ids of groups ([`GROUP_IDS_LEFT_OUT`]) |
//! | 6 | who takes a node out says which of those that lived under its number is meant ([`GENERATIONS_NAMED`]) |

use crate::records::Record;
use crate::{Meta, Reply};
use base::{Decision, NodeId, Refusal};
use std::fmt;

/// What a cluster's nodes may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(pub u16);

impl Default for Level {
    /// That of a cluster which never heard of levels.
    fn default() -> Level {
        Level(1)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Levels that a node can read and write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Levels {
    /// The oldest.
    pub min: Level,
    /// The newest.
    pub max: Level,
}

impl Levels {
    /// True if a cluster at this level is one that the node understands.
    pub fn contain(&self, level: Level) -> bool {
        (self.min..=self.max).contains(&level)
    }
}

/// Those of this binary.
pub const LEVELS: Levels = Levels {
    min: Level(1),
    max: Level(6),
};

/// From here on the controller's group may get other voters.
pub const VOTERS_CHANGE: Level = Level(2);
/// From here on groups may go on without their majority.
pub const RECOVERY: Level = Level(3);
/// From here on checkpoints keep the metadata, and what led to it goes.
pub const METADATA_KEPT: Level = Level(3);
/// From here on a group's configuration says for which aim of the metadata it was made, and so does the
/// word that the group has arrived.
pub const AIMS_NAMED: Level = Level(4);
/// From here on it is on record which replicas were renewed and aren't there yet.
pub const RENEWALS_KEPT: Level = Level(5);
/// From here on it is on record which ids of groups were left out.
pub const GROUP_IDS_LEFT_OUT: Level = Level(5);
/// From here on the command that takes a node out names its generation.
pub const GENERATIONS_NAMED: Level = Level(6);

impl Meta {
    /// A node says what it can read.
    pub(crate) fn declare_levels(&self, node: NodeId, levels: Levels) -> Decision<Reply> {
        let known = self.image.levels.get(&node) == Some(&levels);
        let record = Record::LevelsDeclared { node, levels };
        Decision {
            records: match known {
                true => Vec::new(),
                false => vec![record.encode()],
            },
            reply: Reply::Done,
        }
    }

    /// The first node that registers founds the cluster: there is nobody yet who would have to
    /// understand an older level.
    pub(crate) fn level_of_a_new_cluster(&self) -> Option<Record> {
        let level = LEVELS.max;
        self.image
            .nodes
            .is_empty()
            .then_some(Record::LevelRaised { level })
    }

    /// Raises the level, if every node can read it.
    pub(crate) fn raise_level(&self, level: Level, validate_only: bool) -> Decision<Reply> {
        let outcome = self.may_raise(level);
        let changes = outcome.is_ok() && !validate_only && level != self.image.level;
        Decision {
            records: match changes {
                true => vec![Record::LevelRaised { level }.encode()],
                false => Vec::new(),
            },
            reply: Reply::Each(vec![outcome]),
        }
    }

    fn may_raise(&self, level: Level) -> Result<(), Refusal> {
        let refuse = |why: String| Err(Refusal::InvalidRequest(why));
        if level < self.image.level {
            return refuse(format!(
                "the cluster is at level {}, which is not taken back: what was written since can't \
                 be read at level {level}",
                self.image.level
            ));
        }
        let without: Vec<String> = self
            .image
            .nodes
            .keys()
            .filter(|node| !self.image.levels_of(**node).contain(level))
            .map(|node| {
                format!(
                    "node {node} knows up to {}",
                    self.image.levels_of(*node).max
                )
            })
            .collect();
        match without.is_empty() {
            true => Ok(()),
            false => refuse(format!(
                "level {level} isn't known to all nodes ({}): start them with a newer binary, or \
                 remove those that are gone",
                without.join(", ")
            )),
        }
    }
}

impl crate::Image {
    /// What a node can read; one that never said so is older than levels.
    pub fn levels_of(&self, node: NodeId) -> Levels {
        let first = Level::default();
        let silent = Levels {
            min: first,
            max: first,
        };
        self.levels.get(&node).copied().unwrap_or(silent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Command, Defaults, NodeInfo};
    use base::Machine;

    fn register(meta: &mut Meta, node: u32) {
        let command = Command::RegisterNode {
            node: NodeId(node),
            info: NodeInfo::new("h", 1, None),
        };
        assert_eq!(meta.obey(command), Reply::Done);
    }

    fn raise(meta: &mut Meta, level: u16, validate_only: bool) -> Result<(), String> {
        let level = Level(level);
        match meta.obey(Command::RaiseLevel {
            level,
            validate_only,
        }) {
            Reply::Each(mut parts) => parts.remove(0).map_err(|why| why.to_string()),
            other => panic!("{other:?}"),
        }
    }

    /// A cluster of two nodes that were registered by a binary without levels.
    fn old_cluster() -> Meta {
        let mut meta = Meta::new(Defaults::default());
        for node in [1, 2] {
            let info = NodeInfo::new("h", 1, None);
            let node = NodeId(node);
            meta.replay(&Record::NodeRegistered { node, info }.encode());
        }
        meta
    }

    #[test]
    fn a_new_cluster_is_at_the_newest_level_and_an_old_one_stays_where_it_is() {
        let mut new = Meta::new(Defaults::default());
        assert_eq!(new.image(1).level, Level(1));
        register(&mut new, 1);
        assert_eq!(new.image(1).level, LEVELS.max);

        let mut old = old_cluster();
        register(&mut old, 3);
        assert_eq!(old.image(1).level, Level(1));
    }

    #[test]
    fn the_level_is_raised_once_every_node_knows_it() {
        let mut meta = old_cluster();
        let declare = |meta: &mut Meta, node: u32| {
            let (node, levels) = (NodeId(node), LEVELS);
            meta.obey(Command::DeclareLevels { node, levels })
        };
        declare(&mut meta, 1);
        let why = raise(&mut meta, 2, false).expect_err("node 2 is old");
        assert!(why.contains("node 2 knows up to 1"), "{why}");
        assert!(!why.contains("node 1"), "{why}");
        assert_eq!(meta.image(1).level, Level(1));

        declare(&mut meta, 2);
        raise(&mut meta, 2, true).expect("it may be");
        assert_eq!(meta.image(1).level, Level(1), "it was only asked");
        raise(&mut meta, 2, false).expect("all know it");
        assert_eq!(meta.image(1).level, Level(2));

        let beyond = LEVELS.max.0 + 1;
        raise(&mut meta, beyond, false).expect_err("nobody knows it");
        raise(&mut meta, 1, false).expect_err("nothing is taken back");
    }

    #[test]
    fn what_a_number_could_read_goes_with_it() {
        let mut meta = old_cluster();
        let (node, levels) = (NodeId(2), LEVELS);
        meta.obey(Command::DeclareLevels { node, levels });
        meta.obey(Command::UnregisterNode {
            node,
            generation: None,
        });
        assert_eq!(meta.image(1).levels_of(node).max, Level(1));
    }
}
