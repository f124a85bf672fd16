//! DescribeGroups: classic groups in full.

use super::live::State;
use crate::groups::Group;
use crate::reply::{Described, Reply};
use crate::{Groups, Soft};
use base::Refusal;

impl Groups {
    /// Shows groups. It changes nothing and takes no group into use.
    pub(crate) fn describe(&self, soft: &Soft, names: &[String]) -> Reply {
        let part = |name: &String| (name.clone(), self.describe_one(soft, name));
        Reply::DescribeGroups(names.iter().map(part).collect())
    }

    fn describe_one(&self, soft: &Soft, name: &str) -> Result<Described, Refusal> {
        let dormant;
        let live = match soft.classic.get(name) {
            Some(live) => live,
            None => match self.dormant(name) {
                Some(live) => {
                    dormant = live;
                    &dormant
                }
                None => return Err(self.no_classic(name)),
            },
        };
        let stable = live.state == State::Stable;
        let protocol = live.protocol.as_deref().filter(|_| stable);
        Ok(Described {
            state: live.state.name(),
            protocol_type: live.protocol_type.clone().unwrap_or_default(),
            protocol: protocol.unwrap_or("").to_owned(),
            members: live
                .members
                .values()
                .map(|m| m.describe(protocol))
                .collect(),
        })
    }

    fn no_classic(&self, name: &str) -> Refusal {
        let text = match self.groups.get(name) {
            Some(Group::Consumer(_)) => format!("Group {name} is not a classic group."),
            _ => format!("Group {name} not found."),
        };
        Refusal::GroupIdNotFound(text)
    }
}
