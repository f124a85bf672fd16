//! `flotilla cluster finalize`: the end of an upgrade. Nodes of two releases write what both can
//! read, until this step lets them write what only the newer one can.

use super::versions;
use crate::args::{Finalize, Output};
use crate::client::{Cluster, Code, Deadline, Trouble};
use crate::output;
use serde_json::json;
use wire_kafka::messages::update_features_request::{FeatureUpdateKey, UpdateFeaturesRequest};

/// The feature whose level is the cluster's.
const LEVEL: &str = "flotilla.version";
/// A change that isn't to lower anything.
const UPGRADE: i8 = 1;
/// How long the controller may take.
const CALL_MS: i32 = 10_000;

/// The level of a cluster; none if it knows nothing of levels.
pub(crate) fn level(cluster: &mut Cluster, deadline: Deadline) -> Result<Option<i16>, Trouble> {
    let told = versions(cluster, deadline)?.finalized_features.into_iter();
    let mut levels = told.filter(|feature| feature.name == LEVEL);
    Ok(levels.next().map(|feature| feature.max_version_level))
}

/// `flotilla cluster finalize`.
pub(super) fn finalize(args: &Finalize) -> Result<(), Trouble> {
    let deadline = Deadline::after(args.target.timeout);
    let mut cluster = Cluster::new(&args.target.bootstrap)?;
    let told = versions(&mut cluster, deadline)?;
    let finalized = told.finalized_features.iter().find(|f| f.name == LEVEL);
    let known = told.supported_features.iter().find(|f| f.name == LEVEL);
    let (Some(finalized), Some(known)) = (finalized, known) else {
        return Err(Trouble::Unhealthy {
            what: "the node that was asked knows nothing of levels: it is older than this command"
                .into(),
        });
    };
    let (from, to) = (finalized.max_version_level, known.max_version);
    if from < to {
        raise(&mut cluster, to, args.dry_run, deadline)?;
    }
    if args.target.output == Output::Json {
        let raised = from < to && !args.dry_run;
        return output::json(&json!({ "from": from, "to": to, "raised": raised }));
    }
    output::text(&match (from < to, args.dry_run) {
        (false, _) => format!("the cluster is at level {from}, the newest that is known\n"),
        (true, true) => format!("all nodes are ready to go from level {from} to level {to}\n"),
        (true, false) => format!("the cluster went from level {from} to level {to}\n"),
    })
}

fn raise(
    cluster: &mut Cluster,
    level: i16,
    validate_only: bool,
    deadline: Deadline,
) -> Result<(), Trouble> {
    let request = UpdateFeaturesRequest {
        timeout_ms: CALL_MS,
        feature_updates: vec![FeatureUpdateKey {
            feature: LEVEL.into(),
            max_version_level: level,
            upgrade_type: UPGRADE,
            ..FeatureUpdateKey::default()
        }],
        validate_only,
    };
    // A level that is reached may be asked for again.
    cluster.persist(deadline, |cluster| {
        let answer = cluster.call_any(&request, deadline)?;
        let (code, what) = (Code(answer.error_code), "the new level");
        match code.is_ok() {
            true => Ok(()),
            false => Err(Trouble::refused(what, code, answer.error_message)),
        }
    })
}
