//! ListGroups: which groups there are.

use super::Group;
use crate::command::ListGroups;
use crate::reply::{GroupType, Listed, Reply};
use crate::{Groups, Soft};
use std::collections::BTreeSet;
use std::sync::Arc;

const EMPTY: &str = "Empty";

impl Groups {
    /// True if there is a group of this name, be it only offsets.
    pub(crate) fn exists(&self, soft: &Soft, name: &str) -> bool {
        soft.classic.contains_key(name)
            || self.groups.contains_key(name)
            || self.offsets.contains_key(name)
    }

    /// The groups that the filter lets through, in order of their names.
    pub(crate) fn list(&self, soft: &Soft, filter: &ListGroups) -> Reply {
        let lower = |words: &[String]| -> Vec<String> {
            words.iter().map(|w| w.trim().to_lowercase()).collect()
        };
        let (states, types) = (lower(&filter.states), lower(&filter.types));
        let wanted = |listed: &Listed| {
            let state = listed.state.to_lowercase();
            let kind = listed.group_type.name();
            (states.is_empty() || states.contains(&state))
                && (types.is_empty() || types.iter().any(|t| t == kind))
        };
        let mut names: BTreeSet<&Arc<str>> = self.groups.keys().collect();
        names.extend(self.offsets.keys());
        names.extend(soft.classic.keys());
        let all = names.into_iter().map(|name| self.entry(soft, name));
        Reply::ListGroups(all.filter(wanted).collect())
    }

    fn entry(&self, soft: &Soft, name: &str) -> Listed {
        let mut listed = Listed {
            group: name.to_owned(),
            protocol_type: String::new(),
            state: EMPTY,
            group_type: GroupType::Classic,
        };
        if let Some(live) = soft.classic.get(name) {
            listed.state = live.state.name();
            listed.protocol_type = live.protocol_type.clone().unwrap_or_default();
            return listed;
        }
        match self.groups.get(name) {
            Some(Group::Consumer(group)) => {
                listed.state = group.state_name();
                listed.protocol_type = crate::classic::CONSUMER.to_owned();
                listed.group_type = GroupType::Consumer;
            }
            Some(Group::Classic(saved)) => {
                listed.protocol_type = saved.protocol_type.clone().unwrap_or_default();
            }
            None => {}
        }
        listed
    }
}
