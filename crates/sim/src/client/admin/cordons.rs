//! Nodes that are to get nothing new, and that give up their say in the metadata; and that may again. And the other key of
//! nodes that an admin changes: for how long producers are remembered.

use crate::checkers::{Checked, violation};
use crate::client::links::Ask;
use crate::client::producer::unexpected;
use crate::client::{Common, Reach, codes};
use std::collections::BTreeSet;
use wire_kafka::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use wire_kafka::messages::incremental_alter_configs_response::IncrementalAlterConfigsResponse;

/// How often nodes are cordoned.
#[derive(Clone, Debug)]
pub(crate) struct Cordons {
    /// Percent of what an admin does.
    pub(crate) percent: u64,
    pub(crate) nodes: u32,
    /// Nodes that are cordoned at once, at most.
    pub(crate) most: usize,
}

/// The key that says for how long producers are remembered.
pub(crate) const EXPIRATION_MS: &str = "producer.id.expiration.ms";

/// Kafka's numbers of a resource that is a node, and of the two operations.
const NODE: i8 = 4;
const SET: i8 = 0;
const DELETE: i8 = 1;

/// Cordons a node, or lifts a cordon.
pub(super) fn ask(
    cordons: &Cordons,
    there: &mut BTreeSet<u32>,
    common: &mut Common,
    reach: &mut Reach<'_>,
) {
    let node = common.random.between(1, u64::from(cordons.nodes)) as u32;
    match there.first().copied() {
        Some(first) if there.len() >= cordons.most || common.random.percent(40) => {
            there.remove(&first);
            change(first, false, common, reach);
        }
        _ => {
            there.insert(node);
            change(node, true, common, reach);
        }
    }
}

/// Asks for one node to be cordoned, or not.
pub(super) fn change(node: u32, on: bool, common: &mut Common, reach: &mut Reach<'_>) {
    reach.tell(|| format!("  node {node} is to be cordoned: {on}"));
    let config = AlterableConfig {
        name: meta::CORDONED.to_string(),
        config_operation: if on { SET } else { DELETE },
        value: on.then(|| "*".to_string()),
    };
    alter(&node.to_string(), config, common, reach);
}

/// Asks all nodes to forget producers that are silent for a moment.
pub(super) fn expire_producers(common: &mut Common, reach: &mut Reach<'_>) {
    reach.tell(|| "  producers are to be forgotten soon".to_string());
    let config = AlterableConfig {
        name: EXPIRATION_MS.to_string(),
        config_operation: SET,
        value: Some("1000".to_string()),
    };
    alter("", config, common, reach);
}

/// Changes a key of a node, or of all.
fn alter(node: &str, config: AlterableConfig, common: &mut Common, reach: &mut Reach<'_>) {
    let body = IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: NODE,
            resource_name: node.to_string(),
            configs: vec![config],
        }],
        validate_only: false,
    };
    let to = common.any_node(reach);
    let version = common.version::<IncrementalAlterConfigsRequest>();
    common.ask(reach, to, version, &body, Ask::Cordon);
}

/// It is on record, or not.
pub(super) fn asked(reach: &mut Reach<'_>, answer: &IncrementalAlterConfigsResponse) -> Checked {
    let Some(part) = answer.responses.first() else {
        let what = format!("{answer:?}");
        return Err(violation("answers fit their requests", what));
    };
    let code = part.error_code;
    reach.tell(|| format!("  a cordon: code {code}"));
    match code {
        // In the first second it may not have registered yet.
        codes::NONE | codes::NODE_NOT_REGISTERED => Ok(()),
        code if codes::retriable(code) => Ok(()),
        code => Err(unexpected("IncrementalAlterConfigs", code)),
    }
}
