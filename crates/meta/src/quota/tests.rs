use super::*;
use crate::{Command, Defaults};

fn client(name: &str) -> Entity {
    Entity {
        client: Some(Whom::Named(name.to_owned())),
        ..Entity::default()
    }
}

fn alter(meta: &mut Meta, entity: Entity, key: &str, amount: Option<f64>) -> Result<(), String> {
    let command = Command::AlterQuotas {
        changes: vec![QuotaChange {
            entity,
            edits: vec![(key.to_owned(), amount.map(Amount::new))],
        }],
        validate_only: false,
    };
    match meta.obey(command) {
        Reply::Each(mut parts) => parts.pop().unwrap().map_err(|why| why.to_string()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn quotas_come_and_go() {
    let mut meta = Meta::new(Defaults::default());
    alter(&mut meta, client("a"), "producer_byte_rate", Some(100.0)).unwrap();
    alter(&mut meta, client("a"), "request_percentage", Some(0.5)).unwrap();
    assert_eq!(meta.image(1).quotas[&client("a")].len(), 2);
    alter(&mut meta, client("a"), "producer_byte_rate", None).unwrap();
    alter(&mut meta, client("a"), "request_percentage", None).unwrap();
    assert!(meta.image(2).quotas.is_empty());
}

#[test]
fn wrong_quotas_are_refused_in_kafkas_words() {
    let mut meta = Meta::new(Defaults::default());
    let mut why = |entity: Entity, key: &str, amount: f64| {
        alter(&mut meta, entity, key, Some(amount)).unwrap_err()
    };
    let ip = |address: &str| Entity {
        ip: Some(Whom::Named(address.to_owned())),
        ..Entity::default()
    };
    assert_eq!(
        why(Entity::default(), "producer_byte_rate", 1.0),
        "Invalid empty client quota entity"
    );
    assert_eq!(
        why(client("a"), "producer_byte_rate", 0.0),
        "Quota producer_byte_rate must be greater than 0"
    );
    assert!(why(client("a"), "producer_byte_rate", f64::NAN).contains("greater than 0"));
    assert_eq!(
        why(client("a"), "producer_byte_rate", 1.5),
        "Configuration producer_byte_rate must be a Long value"
    );
    assert_eq!(
        why(client("a"), "connection_creation_rate", 1.0),
        "Invalid configuration key connection_creation_rate"
    );
    assert_eq!(
        why(client(""), "producer_byte_rate", 1.0),
        "Empty client-id not supported"
    );
    assert!(why(ip("nowhere"), "connection_creation_rate", 1.0).contains("not a valid IP"));
    let both = Entity {
        user: Some(Whom::Default),
        ..ip("::1")
    };
    assert!(why(both, "connection_creation_rate", 1.0).contains("combination"));
    assert!(meta.image(1).quotas.is_empty());
}
