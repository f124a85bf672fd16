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
        Err((error_code, why)) => {
            return Ok(request.answer(&DescribeClientQuotasResponse {
                error_code,
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

fn filter(components: Vec<ComponentData>) -> Result<BTreeMap<&'static str, Wanted>, (i16, String)> {
    let no = |why: &str| Err((codes::INVALID_REQUEST, why.to_owned()));
    let mut wanted = BTreeMap::new();
    for component in components {
        let Some(kind) = kind(&component.entity_type) else {
            let named = component.entity_type;
            return match named.is_empty() {
                true => no("Unexpected empty filter component entity type"),
                // A later version may know it.
                false => {
                    let why = format!("Custom entity type {named} not supported");
                    Err((codes::UNSUPPORTED_VERSION, why))
                }
            };
        };
        let one = match (component.match_type, component.match_) {
            (EXACT, Some(name)) => Wanted::This(Whom::Named(name)),
            (DEFAULT, None) => Wanted::This(Whom::Default),
            (ANY, None) => Wanted::Anybody,
            (EXACT, None) => {
                return no("Request specifies MATCH_TYPE_EXACT, but has match set to null");
            }
            (DEFAULT, Some(_)) => {
                return no("Request specifies MATCH_TYPE_DEFAULT, but also specifies a match");
            }
            (ANY, Some(_)) => {
                return no("Request specifies MATCH_TYPE_SPECIFIED, but also specifies a match");
            }
            (other, _) => return no(&format!("Unknown match type {other}")),
        };
        if wanted.insert(kind, one).is_some() {
            return no(&format!("Duplicate filter component entity type {kind}"));
        }
    }
    if wanted.contains_key(IP) && wanted.len() > 1 {
        return no(
            "Invalid entity filter component combination, IP filter component should \
                    not be used with user or clientId filter component.",
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
