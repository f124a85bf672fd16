//! UpdateFeatures (key 57), versions 0 to 2. `metadata.version` has the one level of this release:
//! asking for it is done at once, any other is refused in Kafka's words. `flotilla.version` is the
//! cluster's own level, which the controller raises once every node knows it.
//!
//! 0: whether a lower level is allowed. 1: the kind of change; only to validate. 2: one code for
//! the whole answer.

use super::api_versions::{CLUSTER_LEVEL, features};
use super::{Api, Door, Request, Step};
use crate::refusals::{self, codes};
use base::{Now, Refusal};
use std::time::Duration;
use wire_kafka::messages::update_features_request::{FeatureUpdateKey, UpdateFeaturesRequest};
use wire_kafka::messages::update_features_response::{
    UpdatableFeatureResult, UpdateFeaturesResponse,
};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::UpdateFeatures,
    versions: 0..=2,
    serve,
};

const UPGRADE: i8 = 1;
/// The first version with one code for the whole answer.
const ONE_CODE: i16 = 2;

/// The controller was asked for the cluster's level.
#[derive(Debug)]
pub(crate) struct Waiting {
    request: Request,
    features: Vec<String>,
}

fn serve(door: &Door, now: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = UpdateFeaturesRequest::decode(request.version, reader)?;
    let node = door.broker.controller().unwrap_or(door.broker.node());
    let updates = &body.feature_updates;
    let level = door.broker.image().level;
    let wrong = updates
        .iter()
        .find_map(|update| check(update, level, request.version, &node.to_string()).err());
    if let Some(why) = wrong {
        return Ok(refuse(request, codes::INVALID_UPDATE_VERSION, &why));
    }
    let wanted = updates
        .iter()
        .find(|update| update.feature == CLUSTER_LEVEL)
        .and_then(|update| u16::try_from(update.max_version_level).ok())
        .map(meta::Level);
    let names = body
        .feature_updates
        .into_iter()
        .map(|update| update.feature);
    let features: Vec<String> = names.collect();
    let Some(wanted) = wanted else {
        return Ok(done(request, features));
    };
    let patience = Duration::from_millis(u64::try_from(body.timeout_ms).unwrap_or(0));
    let to = request.reply_to(door);
    let change = (wanted, body.validate_only);
    door.broker
        .raise_level(now, &door.principal, change, patience, to);
    Ok(Step::Wait(super::Waiting::UpdateFeatures(Waiting {
        request,
        features,
    })))
}

impl Waiting {
    /// Answers with what the controller says.
    pub(crate) fn finish(self, reply: Result<meta::Reply, Refusal>) -> Step {
        let Some(parts) = super::each(reply, 1) else {
            return super::other_question();
        };
        match parts.into_iter().find_map(Result::err) {
            None => done(self.request, self.features),
            // Nobody looked at it: it may be asked again.
            Some(why @ (Refusal::NoController | Refusal::Timeout)) => {
                refuse(self.request, refusals::code(&why), &why.to_string())
            }
            Some(why) => refuse(
                self.request,
                codes::INVALID_UPDATE_VERSION,
                &why.to_string(),
            ),
        }
    }
}

/// One that is refused fails all, in every version; so it is in Kafka 4.
fn refuse(request: Request, error_code: i16, why: &str) -> Step {
    request.answer(&UpdateFeaturesResponse {
        error_code,
        error_message: Some(format!(
            "The update failed for all features since the following feature had an error: {why}"
        )),
        ..Default::default()
    })
}

fn done(request: Request, features: Vec<String>) -> Step {
    let results = features.into_iter().map(|feature| UpdatableFeatureResult {
        feature,
        ..Default::default()
    });
    request.answer(&UpdateFeaturesResponse {
        results: match request.version {
            ONE_CODE.. => Vec::new(),
            _ => results.collect(),
        },
        ..Default::default()
    })
}

fn check(
    update: &FeatureUpdateKey,
    level: meta::Level,
    version: i16,
    node: &str,
) -> Result<(), String> {
    let (name, wanted) = (&update.feature, update.max_version_level);
    let invalid = format!("Invalid update version {wanted} for feature {name}.");
    let known = features(level);
    let Some(feature) = known.iter().find(|feature| feature.name == name) else {
        return Err(format!(
            "{invalid} Local controller {node} does not support this feature."
        ));
    };
    let (min, max) = feature.levels;
    if !(min..=max).contains(&wanted) {
        return Err(format!(
            "{invalid} Local controller {node} only supports versions {min}-{max}"
        ));
    }
    if wanted >= feature.level {
        return Ok(());
    }
    let lowers = match version {
        0 => update.allow_downgrade,
        _ => update.upgrade_type != UPGRADE,
    };
    if !lowers {
        return Err(format!(
            "{invalid} Can't downgrade the version of this feature without setting the upgrade \
             type to either safe or unsafe downgrade."
        ));
    }
    let from = feature.level;
    Err(format!(
        "Unsupported {name} downgrade from {from} to {wanted}. Refusing to perform the requested \
         downgrade because it might delete metadata information."
    ))
}
