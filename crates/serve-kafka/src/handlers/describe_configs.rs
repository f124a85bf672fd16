//! DescribeConfigs (key 32), versions 0 to 4.
//!
//! 0: keys and values, and whether a value is the default. 1: where a value comes from, and its synonyms. 2: nothing new. 3: types and documentation. 4:
//! flexible.

use super::{Api, Door, Request, Step};
use crate::described::Extent;
use crate::refusals::{self, codes};
use base::{Now, Refusal};
use broker::{ConfigEntry, ConfigSource, ConfigSynonym};
use meta::config::Kind;
use wire_kafka::messages::describe_configs_request::{
    DescribeConfigsRequest, DescribeConfigsResource,
};
use wire_kafka::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult,
    DescribeConfigsSynonym,
};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::DescribeConfigs,
    versions: 0..=4,
    serve,
};

/// The kinds of resource that have a configuration here.
const TOPIC: i8 = 2;
const NODE: i8 = 4;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;

fn serve(door: &Door, _: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = DescribeConfigsRequest::decode(request.version, reader)?;
    let (synonyms, docs) = (body.include_synonyms, body.include_documentation);
    let mut extent = Extent::default();
    let results = body.resources.into_iter().map(|resource| {
        let entries = extent.check().and_then(|()| entries(door, &resource));
        result(resource, entries, (synonyms, docs), &mut extent)
    });
    let results = results.collect();
    Ok(request.answer(&DescribeConfigsResponse {
        results,
        ..Default::default()
    }))
}

fn entries(door: &Door, resource: &DescribeConfigsResource) -> Result<Vec<ConfigEntry>, Refusal> {
    let (broker, principal) = (&door.broker, &door.principal);
    match resource.resource_type {
        TOPIC => broker.describe_topic(principal, &resource.resource_name),
        NODE => broker.describe_node(principal, &resource.resource_name),
        CLIENT_METRICS => broker.describe_client_metrics(principal, &resource.resource_name),
        GROUP => broker.describe_group(principal, &resource.resource_name),
        other => Err(Refusal::InvalidRequest(format!(
            "no configuration of resources of type {other}"
        ))),
    }
}

fn result(
    resource: DescribeConfigsResource,
    entries: Result<Vec<ConfigEntry>, Refusal>,
    (synonyms, docs): (bool, bool),
    extent: &mut Extent,
) -> DescribeConfigsResult {
    let mut result = DescribeConfigsResult {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name,
        ..Default::default()
    };
    let keys = resource.configuration_keys.unwrap_or_default();
    // No keys, as an empty list as well as null, means all.
    let wanted = |entry: &ConfigEntry| {
        let shown = keys.is_empty() || keys.iter().any(|k| *k == entry.name);
        extent.entry(entry, shown, synonyms, docs);
        shown
    };
    match entries {
        Ok(entries) => {
            let shown = entries.into_iter().filter(wanted);
            result.configs = shown.map(|entry| config(entry, synonyms, docs)).collect();
        }
        Err(why) => {
            result.error_code = match (&why, resource.resource_type) {
                (Refusal::Denied, NODE) => codes::CLUSTER_AUTHORIZATION_FAILED,
                _ => refusals::code(&why),
            };
            result.error_message = Some(why.to_string());
        }
    }
    result
}

fn config(entry: ConfigEntry, synonyms: bool, docs: bool) -> DescribeConfigsResourceResult {
    let shown = if synonyms { entry.synonyms } else { Vec::new() };
    DescribeConfigsResourceResult {
        name: entry.name.into_owned(),
        value: entry.value.filter(|_| !entry.sensitive),
        read_only: entry.read_only,
        is_default: entry.source == ConfigSource::Default,
        config_source: source(entry.source),
        is_sensitive: entry.sensitive,
        synonyms: shown.into_iter().map(synonym).collect(),
        config_type: kind(entry.kind),
        documentation: docs.then(|| entry.doc.to_owned()),
    }
}

fn synonym(synonym: ConfigSynonym) -> DescribeConfigsSynonym {
    DescribeConfigsSynonym {
        name: synonym.name.into_owned(),
        value: synonym.value,
        source: source(synonym.source),
    }
}

/// Where a value comes from, as the protocol counts it.
pub(crate) fn source(source: ConfigSource) -> i8 {
    match source {
        ConfigSource::Topic => 1,
        ConfigSource::DynamicNode => 2,
        ConfigSource::DynamicDefault => 3,
        ConfigSource::Node => 4,
        ConfigSource::Default => 5,
        ConfigSource::ClientMetrics => 7,
        ConfigSource::Group => 8,
    }
}

fn kind(kind: Kind) -> i8 {
    match kind {
        Kind::Boolean => 1,
        Kind::Text => 2,
        Kind::Int => 3,
        Kind::Long => 5,
        Kind::Double => 6,
        Kind::List => 7,
    }
}
