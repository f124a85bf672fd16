//! Topics that were just made. Their partitions elect their leaders in a moment; whoever made them is
//! answered then, for there are clients that take a partition without a leader for one that never
//! has any, as they never see one in Kafka.

use crate::handlers::{Door, Step};
use base::{Mono, limits};

/// An answer that waits until topics have leaders, and not for longer than that pays.
pub(crate) struct Settling {
    topics: Vec<String>,
    until: Mono,
    then: Box<dyn FnOnce(&Door) -> Step + Send + Sync>,
}

impl Settling {
    /// The step that goes on with `then`; at once if all topics have leaders already.
    pub(crate) fn step(
        door: &Door,
        topics: Vec<String>,
        then: impl FnOnce(&Door) -> Step + Send + Sync + 'static,
    ) -> Step {
        let until = door.now.mono.after(limits::NEW_TOPIC_LEADER_WAIT);
        let then = Box::new(then);
        Step::Settle(Settling {
            topics,
            until,
            then,
        })
        .or_now(door)
    }

    fn is_over(&self, door: &Door) -> bool {
        let image = door.broker.image();
        let mut groups = self
            .topics
            .iter()
            .filter_map(|name| image.topic(name))
            .flat_map(|topic| topic.partitions.iter().map(|partition| partition.group));
        self.until <= door.now.mono || groups.all(|group| door.broker.leader(group).is_some())
    }
}

impl Step {
    /// The step, or what comes after it if it has waited long enough.
    pub(crate) fn or_now(self, door: &Door) -> Step {
        match self {
            Step::Settle(settling) if settling.is_over(door) => (settling.then)(door),
            step => step,
        }
    }
}
