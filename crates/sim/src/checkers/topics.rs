//! Metadata keeps its word: a topic whose creation was answered exists until its deletion is
//! asked for, under the id it was given; one whose deletion was answered never comes back.

use super::{Checked, violation};
use base::Uuid;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
struct Known {
    id: Option<Uuid>,
    /// Creations that were asked for. One that failed may be carried out later, with another id:
    /// after a second one nobody knows which of them is seen.
    tries: u32,
    created: bool,
    deletion_asked: bool,
    deleted: bool,
}

/// What was answered about topics, whose names are used once in a run.
#[derive(Default)]
pub(crate) struct Topics {
    known: BTreeMap<String, Known>,
}

const NAME: &str = "topics are kept and stay deleted";

impl Topics {
    /// A creation is asked for.
    pub(crate) fn creation_asked(&mut self, name: &str) {
        self.known.entry(name.to_string()).or_default().tries += 1;
    }

    /// A creation was answered.
    pub(crate) fn created(&mut self, name: &str, id: Option<Uuid>) -> Checked {
        let known = self.known.entry(name.to_string()).or_default();
        known.created = true;
        match id {
            Some(id) => self.has_id(name, id),
            None => Ok(()),
        }
    }

    /// Somebody was shown the topic with this id.
    pub(crate) fn has_id(&mut self, name: &str, id: Uuid) -> Checked {
        let known = self.known.entry(name.to_string()).or_default();
        let first = *known.id.get_or_insert(id);
        if first == id || known.tries > 1 {
            return Ok(());
        }
        Err(violation(
            NAME,
            format!("'{name}' has the ids {first} and {id}"),
        ))
    }

    /// A deletion is asked for: from now on it may be gone.
    pub(crate) fn deletion_asked(&mut self, name: &str) {
        self.known
            .entry(name.to_string())
            .or_default()
            .deletion_asked = true;
    }

    /// A deletion was answered.
    pub(crate) fn deleted(&mut self, name: &str) {
        self.known.entry(name.to_string()).or_default().deleted = true;
    }

    /// What was said of it is lost, with those who had it: it may be there or not, under any id.
    pub(crate) fn lost(&mut self, name: &str) {
        let deletion_asked = true;
        let lost = Known {
            deletion_asked,
            ..Known::default()
        };
        self.known.insert(name.to_string(), lost);
    }

    /// True if the topic must be there.
    pub(crate) fn must_exist(&self, name: &str) -> bool {
        self.known
            .get(name)
            .is_some_and(|known| known.created && !known.deletion_asked)
    }

    /// A node's topics when everything has converged.
    pub(crate) fn verify(&self, node: u32, names: &BTreeSet<String>) -> Checked {
        for (name, known) in &self.known {
            let there = names.contains(name);
            if known.deleted && there && known.tries <= 1 {
                return Err(violation(NAME, format!("node {node}: '{name}' is back")));
            }
            if self.must_exist(name) && !there {
                return Err(violation(NAME, format!("node {node}: '{name}' is lost")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    #[test]
    fn lost_revived_and_renumbered_topics_are_caught() {
        let mut topics = Topics::default();
        topics.created("a", Some(Uuid([1; 16]))).unwrap();
        topics.created("b", None).unwrap();
        assert_eq!(topics.verify(1, &names(&["a", "b"])), Ok(()));
        assert!(topics.verify(1, &names(&["b"])).is_err());
        topics.deletion_asked("a");
        assert_eq!(topics.verify(1, &names(&["b"])), Ok(()));
        topics.deleted("a");
        assert!(topics.verify(1, &names(&["a", "b"])).is_err());
        assert_eq!(topics.has_id("b", Uuid([2; 16])), Ok(()));
        assert!(topics.has_id("b", Uuid([3; 16])).is_err());
        topics.creation_asked("b");
        topics.creation_asked("b");
        assert_eq!(
            topics.has_id("b", Uuid([3; 16])),
            Ok(()),
            "the first try came late"
        );
    }
}
