//! What was asked and what was refused here, counted for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! verbs {
    ($($(#[$doc:meta])* $verb:ident = $name:literal,)*) => {
        /// What a broker can be asked.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Verb { $($(#[$doc])* $verb,)* }

        impl Verb {
            /// All of them.
            pub const ALL: &'static [Verb] = &[$(Verb::$verb,)*];

            /// The name in metrics.
            pub fn name(self) -> &'static str {
                match self { $(Verb::$verb => $name,)* }
            }
        }
    };
}

verbs! {
    /// Append batches.
    Append = "append",
    /// Read batches.
    Read = "read",
    /// Find offsets.
    Offsets = "offsets",
    /// Find where epochs ended.
    EpochEnds = "epoch_ends",
    /// Ask where replicas stand.
    Replicas = "replicas",
    /// Ask when batches were written.
    Stamps = "stamps",
    /// Make topics.
    CreateTopics = "create_topics",
    /// Make topics because somebody asked about them.
    AutoCreateTopics = "auto_create_topics",
    /// Delete topics.
    DeleteTopics = "delete_topics",
    /// Delete records.
    DeleteRecords = "delete_records",
    /// A command for the coordinator of a group.
    Group = "group",
    /// List the groups of all coordinators here.
    Groups = "groups",
    /// Find the coordinator of a group.
    Coordinator = "coordinator",
    /// Change configurations.
    AlterConfigs = "alter_configs",
    /// Add partitions to topics.
    AddPartitions = "add_partitions",
    /// Change quotas.
    AlterQuotas = "alter_quotas",
    /// Hand groups over to their preferred leaders.
    ElectLeaders = "elect_leaders",
    /// Tell which producers partitions remember.
    DescribeProducers = "describe_producers",
    /// Give partitions other replicas.
    Reassign = "reassign",
    /// Tell how the controller's group stands.
    DescribeQuorum = "describe_quorum",
    /// Forget a node.
    UnregisterNode = "unregister_node",
    /// Raise the cluster's level.
    RaiseLevel = "raise_level",
    /// Hand out a producer id.
    InitProducer = "init_producer",
}

const VERBS: usize = Verb::ALL.len();

/// The counters. They only grow.
#[derive(Debug, Default)]
pub struct Stats {
    calls: [AtomicU64; VERBS],
    refusals: [AtomicU64; VERBS],
}

impl Stats {
    pub(crate) fn called(&self, verb: Verb) {
        self.calls[verb as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self, verb: Verb, parts: usize) {
        if parts > 0 {
            self.refusals[verb as usize].fetch_add(parts as u64, Ordering::Relaxed);
        }
    }

    /// Calls of a verb.
    pub fn calls(&self, verb: Verb) -> u64 {
        self.calls[verb as usize].load(Ordering::Relaxed)
    }

    /// Parts of calls of a verb that were refused before they reached the shard.
    pub fn refusals(&self, verb: Verb) -> u64 {
        self.refusals[verb as usize].load(Ordering::Relaxed)
    }
}
