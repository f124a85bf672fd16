//! Floor 1: the controller's pure machine and the metadata image.
//!
//! The machine lives in group 0. The leader of group 0 decides ([`Meta::handle`]) and logs facts;
//! every node replays them ([`Meta::replay`]) and publishes an [`Image`], which the broker reads
//! and from which each shard learns which replicas it must have. Who leads a partition is soft
//! state and not in here.
//!
//! [`Meta::handle`]: base::Machine::handle
//! [`Meta::replay`]: base::Machine::replay

mod alter;
mod codec;
pub mod command;
pub mod config;
mod controllers;
mod create;
mod grow;
mod home;
pub mod image;
mod level;
mod machine;
pub mod names;
mod placement;
mod quota;
mod reassign;
mod records;
mod recover;
mod refusal;
mod resource;
mod settings;
mod snapshot;
mod wire;

pub use codec::Malformed;
pub use command::{
    Command, NewTopic, Placement, Quorum, QuorumMember, Reply, TopicCreated, TopicRef,
};
pub use controllers::{Candidate, controllers};
pub use grow::MorePartitions;
pub use home::Home;
pub use image::{Endpoint, Image, LISTENER, NodeInfo, PartitionInfo, Topic};
pub use level::{
    AIMS_NAMED, GENERATIONS_NAMED, GROUP_IDS_LEFT_OUT, LEVELS, Level, Levels, METADATA_KEPT,
    RECOVERY, RENEWALS_KEPT, VOTERS_CHANGE,
};
pub use machine::{Defaults, Meta};
pub use placement::CORDONED;
pub use quota::{Amount, Entity, QuotaChange, Quotas, Whom, check_entity};
pub use reassign::{Moves, Reassignment};
pub use resource::{ConfigChange, Configs, Edit, Resource, ResourceKind};
pub use settings::{Cleanup, Compression, Durability, TopicSettings};
pub use wire::{decode_answer, encode_answer};
