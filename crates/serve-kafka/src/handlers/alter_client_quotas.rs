//! AlterClientQuotas (key 49), versions 0 to 1: quotas of entities are set or removed.
//!
//! 0: entities with their keys. 1: flexible.

use super::describe_client_quotas::{CLIENT, IP, USER, kind};
use super::{Api, Door, Request, Step};
use crate::refusals;
use base::{Now, Refusal};
use meta::{Amount, Entity, QuotaChange, Whom};
use std::collections::BTreeSet;
use std::time::Duration;
use wire_kafka::messages::alter_client_quotas_request::{
    AlterClientQuotasRequest, EntityData as Named, EntryData as Wanted,
};
use wire_kafka::messages::alter_client_quotas_response::{
    AlterClientQuotasResponse, EntityData, EntryData,
};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::AlterClientQuotas,
    versions: 0..=1,
    serve,
};

/// How long the controller may take; the request doesn't say.
const PATIENCE: Duration = Duration::from_secs(30);

/// The entities that were named.
pub(crate) struct Waiting {
    request: Request,
    entities: Vec<Vec<Named>>,
}

fn serve(door: &Door, now: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = AlterClientQuotasRequest::decode(request.version, reader)?;
    let mut seen = BTreeSet::new();
    let mut entities = Vec::new();
    let mut changes = Vec::new();
    for entry in body.entries {
        entities.push(entry.entity.clone());
        changes.push(
            change(entry).and_then(|change| match seen.insert(change.entity.clone()) {
                true => Ok(change),
                false => no("Duplicate entity in the request"),
            }),
        );
    }
    let to = request.reply_to(door);
    let (principal, only) = (&door.principal, body.validate_only);
    door.broker
        .alter_quotas(now, principal, changes, only, PATIENCE, to);
    Ok(Step::Wait(super::Waiting::AlterClientQuotas(Waiting {
        request,
        entities,
    })))
}

fn no<T>(why: &str) -> Result<T, Refusal> {
    Err(Refusal::InvalidRequest(why.to_owned()))
}

fn change(entry: Wanted) -> Result<QuotaChange, Refusal> {
    let mut entity = Entity::default();
    for part in entry.entity {
        let whom = part.entity_name.map_or(Whom::Default, Whom::Named);
        let place = match kind(&part.entity_type) {
            Some(USER) => &mut entity.user,
            Some(CLIENT) => &mut entity.client,
            Some(IP) => &mut entity.ip,
            _ => {
                let kind = part.entity_type;
                return no(&format!("Unhandled client quota entity type: {kind}"));
            }
        };
        if place.replace(whom).is_some() {
            let kind = part.entity_type;
            return no(&format!(
                "Invalid client quota entity, duplicate entity entry {kind}"
            ));
        }
    }
    let mut keys = BTreeSet::new();
    if let Some(op) = entry.ops.iter().find(|op| !keys.insert(op.key.as_str())) {
        return no(&format!("Duplicate quota key {}", op.key));
    }
    let edits = entry.ops.into_iter().map(|op| {
        let amount = (!op.remove).then(|| Amount::new(op.value));
        (op.key, amount)
    });
    Ok(QuotaChange {
        entity,
        edits: edits.collect(),
    })
}

impl Waiting {
    /// Answers for each entity.
    pub(crate) fn finish(self, reply: Result<meta::Reply, Refusal>) -> Step {
        let Some(parts) = super::each(reply, self.entities.len()) else {
            return super::other_question();
        };
        let entries = self.entities.into_iter().zip(parts).map(|(entity, part)| {
            let why = part.err();
            let entity = entity.into_iter().map(|part| EntityData {
                entity_type: part.entity_type,
                entity_name: part.entity_name,
            });
            EntryData {
                error_code: why.as_ref().map_or(0, refusals::code),
                error_message: why.map(|why| why.to_string()),
                entity: entity.collect(),
            }
        });
        self.request.answer(&AlterClientQuotasResponse {
            entries: entries.collect(),
            ..Default::default()
        })
    }
}
