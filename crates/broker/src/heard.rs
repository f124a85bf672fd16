//! Which nodes are heard, and since when others aren't.

use base::{Mono, NodeId};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a node that fell silent is still shown to clients as a broker, as long as Kafka shows one before it is
/// fenced (`broker.session.timeout.ms`). A node that is started again is back before; clients of librdkafka give up
/// what they have of a broker that isn't shown, and there is a time in which they don't find a coordinator that was
/// there (confluentinc/librdkafka#5511).
const SHOWN: Duration = Duration::from_secs(9);

pub(crate) struct Heard {
    nodes: Vec<NodeId>,
    silent: BTreeMap<NodeId, Mono>,
}

impl Heard {
    /// These are heard now. Who never was since this start isn't shown.
    pub(crate) fn after(before: Option<&Heard>, nodes: Vec<NodeId>, now: Mono) -> Heard {
        let mut silent = BTreeMap::new();
        if let Some(before) = before {
            silent.clone_from(&before.silent);
            silent.extend(before.nodes.iter().map(|node| (*node, now)));
        }
        silent.retain(|node, since| !nodes.contains(node) && now.since(*since) < SHOWN);
        Heard { nodes, silent }
    }

    pub(crate) fn hears(&self, node: NodeId) -> bool {
        self.nodes.contains(&node)
    }

    pub(crate) fn shows(&self, node: NodeId, now: Mono) -> bool {
        let silent = self.silent.get(&node);
        self.hears(node) || silent.is_some_and(|since| now.since(*since) < SHOWN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_falls_silent_is_shown_for_a_while_and_who_was_never_heard_is_not() {
        let at = |s: u64| Mono(s * 1_000_000);
        let [one, two, three] = [1, 2, 3].map(NodeId);
        let heard = Heard::after(None, vec![one, two], at(1));
        assert!(!heard.shows(three, at(1)));
        let heard = Heard::after(Some(&heard), vec![one], at(5));
        // News of others don't begin it anew.
        let heard = Heard::after(Some(&heard), vec![one, three], at(10));
        assert!(heard.shows(two, at(13)) && !heard.hears(two));
        assert!(!heard.shows(two, at(14)));
        let heard = Heard::after(Some(&heard), vec![one, two], at(15));
        assert!(heard.hears(two) && heard.shows(three, at(16)));
    }
}
