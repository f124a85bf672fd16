//! Quotas: whom they bind, what they bound, and deciding about changes in the words of Kafka's
//! controller. That they are kept to is the broker's part.

use crate::records::Record;
use crate::{Meta, Reply};
use base::limits::QUOTA_ENTITIES_MAX;
use base::{Decision, Refusal};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Whom one part of a quota's name means.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whom {
    /// Everybody without an entry of his own.
    Default,
    /// This one.
    Named(String),
}

/// Whom a quota binds. At least one part is there, and an address stands alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entity {
    /// Users.
    pub user: Option<Whom>,
    /// Clients, by the id that they give themselves.
    pub client: Option<Whom>,
    /// Addresses that clients come from.
    pub ip: Option<Whom>,
}

/// A number that a quota allows, compared by its bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount(u64);

impl Amount {
    /// This number.
    pub fn new(value: f64) -> Amount {
        Amount(value.to_bits())
    }

    /// The number.
    pub fn get(self) -> f64 {
        f64::from_bits(self.0)
    }
}

/// What is set of each entity, by key.
pub type Quotas = BTreeMap<Entity, BTreeMap<String, Amount>>;

/// A change of an entity's quotas; a key without an amount is set no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaChange {
    /// Whose.
    pub entity: Entity,
    /// The keys.
    pub edits: Vec<(String, Option<Amount>)>,
}

/// Whose quotas a key belongs to, and what numbers it takes.
struct Key {
    name: &'static str,
    of_address: bool,
    whole: bool,
}

const fn row(name: &'static str, of_address: bool, whole: bool) -> Key {
    Key {
        name,
        of_address,
        whole,
    }
}

const KEYS: [Key; 5] = [
    row("connection_creation_rate", true, true),
    row("consumer_byte_rate", false, true),
    row("controller_mutation_rate", false, false),
    row("producer_byte_rate", false, true),
    row("request_percentage", false, false),
];

/// How far from a whole number a value may be that should be one.
const WHOLE_TOLERANCE: f64 = 1e-6;

/// Checks whom a change binds.
pub fn check_entity(entity: &Entity) -> Result<(), Refusal> {
    let parts = [
        ("user", &entity.user),
        ("client-id", &entity.client),
        ("ip", &entity.ip),
    ];
    if parts.iter().all(|(_, whom)| whom.is_none()) {
        return no("Invalid empty client quota entity");
    }
    for (kind, whom) in parts {
        if *whom == Some(Whom::Named(String::new())) {
            return no(&format!("Empty {kind} not supported"));
        }
    }
    match &entity.ip {
        Some(_) if entity.user.is_some() || entity.client.is_some() => no(
            "Invalid quota entity combination, IP entity should not be used with User or ClientId",
        ),
        Some(Whom::Named(address))
            if address.parse::<IpAddr>().is_err() && address != "localhost" =>
        {
            no(&format!("{address} is not a valid IP or resolvable host."))
        }
        _ => Ok(()),
    }
}

fn check_edit(entity: &Entity, name: &str, amount: Option<Amount>) -> Result<(), Refusal> {
    let known = |key: &&Key| key.name == name && key.of_address == entity.ip.is_some();
    let Some(key) = KEYS.iter().find(known) else {
        return no(&format!("Invalid configuration key {name}"));
    };
    let Some(value) = amount.map(Amount::get) else {
        return Ok(());
    };
    if !value.is_finite() || value <= 0.0 {
        return no(&format!("Quota {name} must be greater than 0"));
    }
    if key.whole && (value - value.round()).abs() > WHOLE_TOLERANCE {
        return no(&format!("Configuration {name} must be a Long value"));
    }
    Ok(())
}

fn no(why: &str) -> Result<(), Refusal> {
    Err(Refusal::InvalidRequest(why.to_owned()))
}

impl Meta {
    /// Decides about quotas; an entity is changed as a whole or not at all.
    pub(crate) fn alter_quotas(
        &self,
        changes: &[QuotaChange],
        validate_only: bool,
    ) -> Decision<Reply> {
        let mut records = Vec::new();
        let mut parts = Vec::new();
        for change in changes {
            let part = check_entity(&change.entity).and_then(|()| {
                let mut edits = change.edits.iter();
                edits.try_for_each(|(name, amount)| check_edit(&change.entity, name, *amount))?;
                self.quota_room(change)
            });
            if part.is_ok() {
                records.extend(self.quota_facts(change));
            }
            parts.push(part);
        }
        if validate_only {
            records.clear();
        }
        Decision {
            records,
            reply: Reply::Each(parts),
        }
    }

    fn quota_room(&self, change: &QuotaChange) -> Result<(), Refusal> {
        let quotas = &self.image.quotas;
        let new = change.edits.iter().any(|(_, amount)| amount.is_some())
            && !quotas.contains_key(&change.entity);
        if new && quotas.len() >= QUOTA_ENTITIES_MAX {
            return no(&format!(
                "At most {QUOTA_ENTITIES_MAX} entities may have quotas"
            ));
        }
        Ok(())
    }

    /// What is new in a change.
    fn quota_facts<'a>(
        &'a self,
        change: &'a QuotaChange,
    ) -> impl Iterator<Item = bytes::Bytes> + 'a {
        let now = self.image.quotas.get(&change.entity);
        let changed = change
            .edits
            .iter()
            .filter(move |(name, amount)| now.and_then(|now| now.get(name)) != amount.as_ref());
        changed.map(|(name, amount)| {
            Record::QuotaChanged {
                entity: change.entity.clone(),
                key: name.clone(),
                amount: *amount,
            }
            .encode()
        })
    }

    pub(crate) fn apply_quota(&mut self, entity: Entity, key: String, amount: Option<Amount>) {
        // Copied only if somebody else still looks at it.
        let quotas = Arc::make_mut(&mut self.image.quotas);
        let of = quotas.entry(entity.clone()).or_default();
        match amount {
            Some(amount) => of.insert(key, amount),
            None => of.remove(&key),
        };
        if of.is_empty() {
            quotas.remove(&entity);
        }
    }
}

#[cfg(test)]
mod tests;
