//! Who belongs to a group: its voters, those before them while a change is under way, and learners.
//!
//! A change of it is an internal entry of the group's log that carries the whole configuration that
//! holds from then on, not a difference: whoever has read the last such entry knows all. It holds
//! once it is committed. The bytes are described in `docs/formats/wal.md`; they are replayable for
//! ever.
//!
//! Not here: when it changes (`shard::operation::reconfigure`), who wants it to (`meta`).

use crate::NodeId;
use std::fmt;

/// A replica of a group. A node whose replica was removed and that gets another one is another
/// member: what the old one promised or voted says nothing of the new one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Member {
    /// Where it lives.
    pub node: NodeId,
    /// Which of the replicas that the node has had, 0 for one that the group began with.
    pub incarnation: u32,
}

impl Member {
    /// One that the group began with.
    pub fn founder(node: NodeId) -> Member {
        Member {
            node,
            incarnation: 0,
        }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.incarnation {
            0 => write!(f, "{}", self.node),
            incarnation => write!(f, "{}#{incarnation}", self.node),
        }
    }
}

/// The members of a group. No node is twice in one list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Configuration {
    /// They elect and commit, the preferred leader first.
    pub voters: Vec<Member>,
    /// The voters before them: as long as there are any, a majority of these is needed as well.
    pub outgoing: Vec<Member>,
    /// They receive everything and have no say. One that is in `outgoing` too is a voter still, and
    /// a learner as soon as the outgoing voters have no say any more.
    pub learners: Vec<Member>,
    /// Which of the aims that the metadata ever had for the group it was made for, counted; 0 for what
    /// a group begins with. Whoever knows of earlier aims only doesn't lead the group away from it.
    pub aim: u32,
}

/// The kind of an internal entry that carries a configuration. Kinds are shared with `log::Shape`.
pub const CONFIGURATION_ENTRY: u8 = 3;
const MEMBER_BYTES: usize = 8;

impl Configuration {
    /// What a group begins with.
    pub fn of_founders(nodes: &[NodeId]) -> Configuration {
        Configuration {
            voters: nodes.iter().copied().map(Member::founder).collect(),
            ..Configuration::default()
        }
    }

    /// True while the voters before have a say.
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whoever has a say, the preferred leader first.
    pub fn electors(&self) -> impl Iterator<Item = Member> + '_ {
        let before = self.outgoing.iter();
        let before = before.filter(|member| !self.voters.contains(member));
        self.voters.iter().chain(before).copied()
    }

    /// Everybody, once.
    pub fn members(&self) -> impl Iterator<Item = Member> + '_ {
        let learners = self.learners.iter().copied();
        let learners = learners.filter(|member| !self.outgoing.contains(member));
        self.electors().chain(learners)
    }

    /// True if the node has a replica that belongs to the group.
    pub fn has_node(&self, node: NodeId) -> bool {
        self.members().any(|member| member.node == node)
    }

    /// What remains once the outgoing voters have no say any more.
    pub fn left(&self) -> Configuration {
        Configuration {
            voters: self.voters.clone(),
            outgoing: Vec::new(),
            learners: self.learners.clone(),
            aim: self.aim,
        }
    }

    /// The data of the entry.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![CONFIGURATION_ENTRY];
        for list in [&self.voters, &self.outgoing, &self.learners] {
            out.extend_from_slice(&(list.len() as u32).to_le_bytes());
            for member in list {
                out.extend_from_slice(&member.node.0.to_le_bytes());
                out.extend_from_slice(&member.incarnation.to_le_bytes());
            }
        }
        if self.aim > 0 {
            out.extend_from_slice(&self.aim.to_le_bytes());
        }
        out
    }

    /// Reads an entry's data; `None` if it is something else.
    pub fn decode(data: &[u8]) -> Option<Configuration> {
        let (kind, mut rest) = data.split_first()?;
        if *kind != CONFIGURATION_ENTRY {
            return None;
        }
        let mut list = || {
            let count = u32::from_le_bytes(*rest.first_chunk()?) as usize;
            let (list, after) = rest[4..].split_at_checked(count.checked_mul(MEMBER_BYTES)?)?;
            rest = after;
            let member = |bytes: &[u8]| Member {
                node: NodeId(u32::from_le_bytes(
                    bytes[..4].try_into().expect("four bytes"),
                )),
                incarnation: u32::from_le_bytes(bytes[4..].try_into().expect("four bytes")),
            };
            Some(list.chunks_exact(MEMBER_BYTES).map(member).collect())
        };
        let (voters, outgoing, learners) = (list()?, list()?, list()?);
        let aim = match rest {
            [] => 0,
            _ => u32::from_le_bytes(rest.try_into().ok()?),
        };
        Some(Configuration {
            voters,
            outgoing,
            learners,
            aim,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(of: &[(u32, u32)]) -> Vec<Member> {
        let member = |(node, incarnation): &(u32, u32)| Member {
            node: NodeId(*node),
            incarnation: *incarnation,
        };
        of.iter().map(member).collect()
    }

    #[test]
    fn the_bytes_of_an_entry_stay_what_they_are() {
        let configuration = Configuration {
            voters: members(&[(1, 0), (4, 2)]),
            outgoing: members(&[(1, 0), (3, 0)]),
            learners: members(&[(5, 7)]),
            aim: 0,
        };
        let golden: &[u8] = &[
            3, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0,
            0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 7, 0, 0, 0,
        ];
        assert_eq!(configuration.encode(), golden);
        assert_eq!(
            Configuration::decode(golden).as_ref(),
            Some(&configuration),
            "as it was before aims were counted"
        );
        let counted = Configuration {
            aim: 9,
            ..configuration
        };
        let longer = [golden, &[9, 0, 0, 0]].concat();
        assert_eq!(counted.encode(), longer);
        assert_eq!(Configuration::decode(&longer), Some(counted));
        for cut in (0..longer.len()).filter(|cut| *cut != golden.len()) {
            assert_eq!(Configuration::decode(&longer[..cut]), None);
        }
    }

    #[test]
    fn a_voter_that_becomes_a_learner_is_one_member() {
        let configuration = Configuration {
            voters: members(&[(1, 0)]),
            outgoing: members(&[(1, 0), (2, 0)]),
            learners: members(&[(2, 0), (3, 1)]),
            aim: 0,
        };
        let all: Vec<_> = configuration.members().collect();
        assert_eq!(all, members(&[(1, 0), (2, 0), (3, 1)]));
        let electors: Vec<_> = configuration.electors().collect();
        assert_eq!(electors, members(&[(1, 0), (2, 0)]));
    }
}
