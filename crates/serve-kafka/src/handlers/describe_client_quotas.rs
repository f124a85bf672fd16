//! DescribeClientQuotas (key 48), versions 0 to 1: the quotas of entities that match a filter.
//!
//! 0: filters by type of entity. 1: flexible.

use super::{Api, Door, Request, Step};
use crate::refusals::codes;
use base::Now;
use meta::{Entity, Whom};
use std::collections::BTreeMap;
use wire_kafka::messages::describe_client_quotas_request::{
    ComponentData, DescribeClientQuotasRequest,
};
use wire_kafka::messages::describe_client_quotas_response::{
    DescribeClientQuotasResponse, EntityData, EntryData, ValueData,
};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::DescribeClientQuotas,
    versions: 0..=1,
    serve,
};

const EXACT: i8 = 0;
const DEFAULT: i8 = 1;
const ANY: i8 = 2;

/// The types of entities.
pub(crate) const USER: &str = "user";
pub(crate) const CLIENT: &str = "client-id";
pub(crate) const IP: &str = "ip";

/// What part of an entity has to be.
enum Wanted {
    This(Whom),
    Anybody,
}

fn serve(door: &Door, _: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = DescribeClientQuotasRequest::decode(request.version, reader)?;
    let wanted = match filter(body.components) {
        Ok(wanted) => wanted,
        Err(why) => {
            return Ok(request.answer(&DescribeClientQuotasResponse {
                error_code: codes::INVALID_REQUEST,
                error_message: Some(why),
                ..Default::default()
            }));
        }
    };
    let image = door.broker.image();
    let found = image.quotas.iter();
    let found = found.filter(|(entity, _)| matches(entity, &wanted, body.strict));
    let entries = found.map(|(entity, set)| EntryData {
        entity: parts(entity).map(|(kind, whom)| name(kind, whom)).collect(),
        values: set
            .iter()
            .map(|(key, amount)| ValueData {
                key: key.clone(),
                value: amount.get(),
            })
            .collect(),
    });
    Ok(request.answer(&DescribeClientQuotasResponse {
        entries: Some(entries.collect()),
        ..Default::default()
    }))
}

fn filter(components: Vec<ComponentData>) -> Result<BTreeMap<&'static str, Wanted>, String> {
    let mut wanted = BTreeMap::new();
    for component in components {
        let Some(kind) = kind(&component.entity_type) else {
            let named = component.entity_type;
            return Err(match named.is_empty() {
                true => "Unexpected empty filter component entity type".to_owned(),
                false => format!("Custom entity type {named} not supported"),
            });
        };
        let one = match (component.match_type, component.match_) {
            (EXACT, Some(name)) => Wanted::This(Whom::Named(name)),
            (DEFAULT, None) => Wanted::This(Whom::Default),
            (ANY, None) => Wanted::Anybody,
            (EXACT, None) => {
                return Err(
                    "Request specifies MATCH_TYPE_EXACT, but has match set to null".to_owned(),
                );
            }
            (DEFAULT, Some(_)) => {
                return Err(
                    "Request specifies MATCH_TYPE_DEFAULT, but also specifies a match".to_owned(),
                );
            }
            (ANY, Some(_)) => {
                return Err(
                    "Request specifies MATCH_TYPE_SPECIFIED, but also specifies a match".to_owned(),
                );
            }
            (other, _) => return Err(format!("Unknown match type {other}")),
        };
        if wanted.insert(kind, one).is_some() {
            return Err(format!("Duplicate filter component entity type {kind}"));
        }
    }
    if wanted.contains_key(IP) && wanted.len() > 1 {
        return Err(
            "Invalid entity filter component combination, IP filter component should \
                    not be used with user or clientId filter component."
                .to_owned(),
        );
    }
    Ok(wanted)
}

/// The type of an entity that is known by this name.
pub(crate) fn kind(name: &str) -> Option<&'static str> {
    [USER, CLIENT, IP].into_iter().find(|kind| *kind == name)
}

/// The parts that an entity has.
fn parts(entity: &Entity) -> impl Iterator<Item = (&'static str, &Whom)> {
    let all = [
        (USER, &entity.user),
        (CLIENT, &entity.client),
        (IP, &entity.ip),
    ];
    all.into_iter()
        .filter_map(|(kind, whom)| Some((kind, whom.as_ref()?)))
}

fn matches(entity: &Entity, wanted: &BTreeMap<&str, Wanted>, strict: bool) -> bool {
    let has: BTreeMap<&str, &Whom> = parts(entity).collect();
    let fits = wanted
        .iter()
        .all(|(kind, wanted)| match (has.get(kind), wanted) {
            (Some(_), Wanted::Anybody) => true,
            (Some(whom), Wanted::This(this)) => *whom == this,
            (None, _) => false,
        });
    fits && (!strict || has.len() == wanted.len())
}

fn name(kind: &str, whom: &Whom) -> EntityData {
    EntityData {
        entity_type: kind.to_owned(),
        entity_name: match whom {
            Whom::Default => None,
            Whom::Named(name) => Some(name.clone()),
        },
    }
}
