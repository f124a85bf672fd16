//! ApiVersions (key 18), versions 0 to 4.
//!
//! 0: the APIs and their versions. 1: the throttle time. 2: nothing new. 3: flexible; the client
//! names its software; features. 4: features whose lowest version is 0 may be told.
//!
//! A version that isn't known is answered in the form of version 0, with UNSUPPORTED_VERSION and
//! the versions of this API alone, so that any client can go on from there.

use super::{APIS, Api, Door, Request, Step};
use crate::refusals::codes;
use base::Now;
use wire_kafka::messages::api_versions_request::ApiVersionsRequest;
use wire_kafka::messages::api_versions_response::{
    ApiVersion, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::ApiVersions,
    versions: 0..=4,
    serve,
};

/// What is kept of the names of a client's software, as long as its connection lasts.
const NAME_BYTES_KEPT: usize = 256;

/// The feature whose level tells which release's behaviour a cluster has.
pub(crate) const METADATA_VERSION: &str = "metadata.version";
/// Its levels: the oldest that Kafka 4 knows, and that of Kafka 4.3.
pub(crate) const METADATA_LEVELS: (i16, i16) = (7, 30);

/// The feature whose level is the cluster's own: see [`meta::Level`].
pub(crate) const CLUSTER_LEVEL: &str = "flotilla.version";

/// What a cluster can do, by the level that it has of it.
pub(crate) struct Feature {
    pub(crate) name: &'static str,
    /// The levels that this node knows, from and to.
    pub(crate) levels: (i16, i16),
    /// The level that the cluster has.
    pub(crate) level: i16,
}

pub(crate) fn features(level: meta::Level) -> [Feature; 2] {
    let number = |level: meta::Level| i16::try_from(level.0).unwrap_or(i16::MAX);
    [
        Feature {
            name: METADATA_VERSION,
            levels: METADATA_LEVELS,
            level: METADATA_LEVELS.1,
        },
        Feature {
            name: CLUSTER_LEVEL,
            levels: (number(meta::LEVELS.min), number(meta::LEVELS.max)),
            level: number(level),
        },
    ]
}

fn serve(door: &Door, _: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = ApiVersionsRequest::decode(request.version, reader)?;
    let names = [&body.client_software_name, &body.client_software_version];
    if request.version >= 3 && !names.into_iter().all(|name| is_software_name(name)) {
        let error_code = codes::INVALID_REQUEST;
        return Ok(request.answer(&ApiVersionsResponse {
            error_code,
            ..Default::default()
        }));
    }
    if request.version >= 3 {
        let [name, version] = names.map(|name| name[..name.len().min(NAME_BYTES_KEPT)].to_owned());
        // It tells this once, before all else.
        let _ = door.software.set((name, version));
    }
    let image = door.broker.image();
    let features = features(image.level);
    let supported = features.iter().map(|feature| SupportedFeatureKey {
        name: feature.name.to_owned(),
        min_version: feature.levels.0,
        max_version: feature.levels.1,
    });
    let finalized = features.iter().map(|feature| FinalizedFeatureKey {
        name: feature.name.to_owned(),
        max_version_level: feature.level,
        min_version_level: feature.level,
    });
    Ok(request.answer(&ApiVersionsResponse {
        api_keys: APIS.iter().map(range).collect(),
        supported_features: supported.collect(),
        finalized_features_epoch: i64::try_from(image.version).unwrap_or(i64::MAX),
        finalized_features: finalized.collect(),
        ..Default::default()
    }))
}

/// The answer to a version that isn't known.
pub(crate) fn unsupported(correlation_id: i32, ticket: u64) -> Step {
    let request = Request {
        key: ApiKey::ApiVersions,
        version: 0,
        correlation_id,
        ticket,
        throttle_ms: 0,
    };
    request.answer(&ApiVersionsResponse {
        error_code: codes::UNSUPPORTED_VERSION,
        api_keys: vec![range(&API)],
        ..Default::default()
    })
}

fn range(api: &Api) -> ApiVersion {
    ApiVersion {
        api_key: api.key.code(),
        min_version: *api.versions.start(),
        max_version: *api.versions.end(),
    }
}

/// Letters and digits of ASCII, with dots and dashes between them.
fn is_software_name(name: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    ends(name.chars().next())
        && ends(name.chars().last())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-')
}
