//! UpdateFeatures (key 57), versions 0 to 2. There is one feature, at the one level that this
//! release has: asking for that level is done at once, any other is refused in Kafka's words.
//!
//! 0: whether a lower level is allowed. 1: the kind of change; only to validate. 2: one code for
//! the whole answer.

use super::api_versions::{METADATA_LEVELS, METADATA_VERSION};
use super::{Api, Door, Request, Step};
use crate::refusals::codes;
use base::Now;
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

fn serve(door: &Door, _: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = UpdateFeaturesRequest::decode(request.version, reader)?;
    let node = door.broker.controller().unwrap_or(door.broker.node());
    let updates = &body.feature_updates;
    let wrong = updates
        .iter()
        .find_map(|update| check(update, request.version, &node.to_string()).err());
    // One that is refused fails all, in every version; so it is in Kafka 4.
    if let Some(why) = wrong {
        return Ok(request.answer(&UpdateFeaturesResponse {
            error_code: codes::INVALID_UPDATE_VERSION,
            error_message: Some(format!(
                "The update failed for all features since the following feature had an error: {why}"
            )),
            ..Default::default()
        }));
    }
    let each = body.feature_updates.into_iter();
    let results = each.map(|update| UpdatableFeatureResult {
        feature: update.feature,
        ..Default::default()
    });
    Ok(request.answer(&UpdateFeaturesResponse {
        results: match request.version {
            ONE_CODE.. => Vec::new(),
            _ => results.collect(),
        },
        ..Default::default()
    }))
}

fn check(update: &FeatureUpdateKey, version: i16, node: &str) -> Result<(), String> {
    let (min, max) = METADATA_LEVELS;
    let (name, level) = (&update.feature, update.max_version_level);
    let invalid = format!("Invalid update version {level} for feature {name}.");
    if name != METADATA_VERSION {
        return Err(format!(
            "{invalid} Local controller {node} does not support this feature."
        ));
    }
    if !(min..=max).contains(&level) {
        return Err(format!(
            "{invalid} Local controller {node} only supports versions {min}-{max}"
        ));
    }
    if level == max {
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
    Err(format!(
        "Unsupported metadata.version downgrade from {max} to {level}. Refusing to perform the \
         requested downgrade because it might delete metadata information."
    ))
}
