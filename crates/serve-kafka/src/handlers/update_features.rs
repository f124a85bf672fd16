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
    let checked: Vec<(String, Result<(), String>)> = body
        .feature_updates
        .into_iter()
        .map(|update| {
            let checked = check(&update, request.version, &node.to_string());
            (update.feature, checked)
        })
        .collect();
    let first_wrong = checked.iter().find_map(|(_, part)| part.as_ref().err());
    let whole = first_wrong.map(|why| {
        format!(
            "The update failed for all features since the following feature had an error: {why}"
        )
    });
    if request.version >= ONE_CODE {
        return Ok(request.answer(&UpdateFeaturesResponse {
            error_code: match whole {
                Some(_) => codes::INVALID_UPDATE_VERSION,
                None => codes::NONE,
            },
            error_message: whole,
            ..Default::default()
        }));
    }
    let results = checked.into_iter().map(|(feature, part)| {
        let why = part.err().or_else(|| whole.clone());
        UpdatableFeatureResult {
            feature,
            error_code: match why {
                Some(_) => codes::INVALID_UPDATE_VERSION,
                None => codes::NONE,
            },
            error_message: why,
        }
    });
    Ok(request.answer(&UpdateFeaturesResponse {
        results: results.collect(),
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
