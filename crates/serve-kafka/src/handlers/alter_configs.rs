//! AlterConfigs (key 33), versions 0 to 2, and IncrementalAlterConfigs (key 44), versions 0 to 1,
//! whose answers look the same.
//!
//! AlterConfigs replaces a whole configuration; what is not named is set no longer. 1: nothing
//! new. 2: flexible. IncrementalAlterConfigs changes single keys: set, delete, append to a list,
//! take from a list. 1: flexible.

use super::{Api, Door, Request, Step};
use crate::refusals;
use base::{Now, Refusal};
use meta::{ConfigChange, Edit, Resource, ResourceKind};
use std::collections::BTreeSet;
use std::time::Duration;
use wire_kafka::messages::alter_configs_request::AlterConfigsRequest;
use wire_kafka::messages::alter_configs_response::{
    AlterConfigsResourceResponse, AlterConfigsResponse,
};
use wire_kafka::messages::{incremental_alter_configs_request, incremental_alter_configs_response};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::AlterConfigs,
    versions: 0..=2,
    serve,
};

pub(crate) const INCREMENTAL: Api = Api {
    key: ApiKey::IncrementalAlterConfigs,
    versions: 0..=1,
    serve: serve_incremental,
};

/// How long the controller may take; the request doesn't say.
const PATIENCE: Duration = Duration::from_secs(30);

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

/// What was asked for, by type and name.
pub(crate) struct Waiting {
    request: Request,
    resources: Vec<(i8, String)>,
}

/// One key as either request names it.
struct Key {
    name: String,
    operation: i8,
    value: Option<String>,
}

fn serve(door: &Door, now: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = AlterConfigsRequest::decode(request.version, reader)?;
    let resources = body.resources.into_iter().map(|resource| {
        let keys = resource.configs.into_iter().map(|config| Key {
            name: config.name,
            operation: SET,
            value: config.value,
        });
        let name = (resource.resource_type, resource.resource_name);
        (name, keys.collect())
    });
    let resources = resources.collect();
    Ok(begin(
        door,
        now,
        request,
        resources,
        true,
        body.validate_only,
    ))
}

fn serve_incremental(
    door: &Door,
    now: Now,
    request: Request,
    reader: &mut Reader,
) -> Result<Step, WireError> {
    use incremental_alter_configs_request::IncrementalAlterConfigsRequest;
    let body = IncrementalAlterConfigsRequest::decode(request.version, reader)?;
    let resources = body.resources.into_iter().map(|resource| {
        let keys = resource.configs.into_iter().map(|config| Key {
            name: config.name,
            operation: config.config_operation,
            value: config.value,
        });
        let name = (resource.resource_type, resource.resource_name);
        (name, keys.collect())
    });
    let resources = resources.collect();
    Ok(begin(
        door,
        now,
        request,
        resources,
        false,
        body.validate_only,
    ))
}

fn begin(
    door: &Door,
    now: Now,
    request: Request,
    resources: Vec<((i8, String), Vec<Key>)>,
    replace: bool,
    validate_only: bool,
) -> Step {
    let mut names = Vec::new();
    let mut changes = Vec::new();
    for ((kind, name), keys) in resources {
        changes.push(change(kind, &name, keys, replace));
        names.push((kind, name));
    }
    let to = request.reply_to(door);
    door.broker
        .alter_configs(now, &door.principal, changes, validate_only, PATIENCE, to);
    Step::Wait(super::Waiting::AlterConfigs(Waiting {
        request,
        resources: names,
    }))
}

fn change(kind: i8, name: &str, keys: Vec<Key>, replace: bool) -> Result<ConfigChange, Refusal> {
    let no = |why: String| Err(Refusal::InvalidRequest(why));
    let Some(kind) = resource_kind(kind) else {
        return no(format!("Unsupported resource type {kind}"));
    };
    if name.is_empty() && kind == ResourceKind::Topic {
        return no("Default topic resources are not allowed.".to_owned());
    }
    let mut seen = BTreeSet::new();
    if !keys.iter().all(|key| seen.insert(&key.name)) {
        return no("Error due to duplicate config keys".to_owned());
    }
    let needs_value = |key: &&Key| key.operation != DELETE && key.value.is_none();
    let nulls: Vec<&str> = keys.iter().filter(needs_value).map(|k| &*k.name).collect();
    if !nulls.is_empty() {
        return no(format!(
            "Null value not supported for : {}",
            nulls.join(", ")
        ));
    }
    let mut edits = Vec::new();
    for key in keys {
        let value = key.value.unwrap_or_default();
        let edit = match key.operation {
            SET => Edit::Set(value),
            DELETE => Edit::Delete,
            APPEND => Edit::Append(value),
            SUBTRACT => Edit::Subtract(value),
            other => return no(format!("Unknown operation type {other}")),
        };
        edits.push((key.name, edit));
    }
    Ok(ConfigChange {
        resource: Resource::new(kind, name),
        replace,
        edits,
    })
}

/// What a type of resources of the protocol means.
pub(crate) fn resource_kind(kind: i8) -> Option<ResourceKind> {
    match kind {
        2 => Some(ResourceKind::Topic),
        4 => Some(ResourceKind::Node),
        16 => Some(ResourceKind::ClientMetrics),
        32 => Some(ResourceKind::Group),
        _ => None,
    }
}

impl Waiting {
    /// Answers for each resource.
    pub(crate) fn finish(self, reply: Result<meta::Reply, Refusal>) -> Step {
        let request = self.request;
        let Some(parts) = super::each(reply, self.resources.len()) else {
            return super::other_question();
        };
        let results = self.resources.into_iter().zip(parts);
        let results = results.map(|((resource_type, resource_name), part)| {
            let (error_code, error_message) = match part {
                Ok(()) => (0, None),
                Err(why) => (
                    refusals::code(&why),
                    Some(text(&why, resource_type, &resource_name)),
                ),
            };
            (error_code, error_message, resource_type, resource_name)
        });
        match request.key {
            ApiKey::AlterConfigs => {
                let one = |(error_code, error_message, resource_type, resource_name)| {
                    AlterConfigsResourceResponse {
                        error_code,
                        error_message,
                        resource_type,
                        resource_name,
                    }
                };
                request.answer(&AlterConfigsResponse {
                    responses: results.map(one).collect(),
                    ..Default::default()
                })
            }
            _ => {
                use incremental_alter_configs_response as response;
                let one = |(error_code, error_message, resource_type, resource_name)| {
                    response::AlterConfigsResourceResponse {
                        error_code,
                        error_message,
                        resource_type,
                        resource_name,
                    }
                };
                request.answer(&response::IncrementalAlterConfigsResponse {
                    responses: results.map(one).collect(),
                    ..Default::default()
                })
            }
        }
    }
}

fn text(why: &Refusal, kind: i8, name: &str) -> String {
    match (why, resource_kind(kind)) {
        (Refusal::UnknownTopic, Some(ResourceKind::Topic)) => {
            format!("The topic '{name}' does not exist.")
        }
        _ => why.to_string(),
    }
}
