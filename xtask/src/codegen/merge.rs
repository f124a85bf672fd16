//! Two releases' definitions of a message made into one that covers the versions of both. The
//! newer release has the word; the older one adds what only versions have that the newer one
//! dropped.

use super::definition::{Field, Message, Versions};

/// `newer` with the versions and fields that only `older` has, below `newer`'s lowest version.
pub fn merge(newer: &Message, older: &Message) -> Result<Message, String> {
    if newer.valid.is_empty() {
        return Ok(Message {
            name: newer.name.clone(),
            ..older.clone()
        });
    }
    // A last version that was still open to change is no version that clients speak.
    let settled = if older.unstable {
        older.valid.high - 1
    } else {
        older.valid.high
    };
    let dropped = older.valid.and(Versions {
        low: 0,
        high: settled.min(newer.valid.low - 1),
    });
    if dropped.is_empty() {
        return Ok(newer.clone());
    }
    let spans = Spans {
        newer: newer.valid,
        dropped,
    };
    Ok(Message {
        valid: newer.valid.join(dropped)?,
        fields: merge_fields(&newer.fields, &older.fields, spans)?,
        ..newer.clone()
    })
}

#[derive(Clone, Copy)]
struct Spans {
    newer: Versions,
    dropped: Versions,
}

impl Spans {
    /// The versions of a thing by the newer release, and below it by the older one.
    fn join(self, newer: Versions, older: Versions) -> Result<Versions, String> {
        newer.and(self.newer).join(older.and(self.dropped))
    }
}

fn merge_fields(newer: &[Field], older: &[Field], spans: Spans) -> Result<Vec<Field>, String> {
    let mut merged = Vec::new();
    for field in newer {
        let twin = older.iter().find(|f| f.name == field.name);
        merged.push(twin.map_or(Ok(field.clone()), |twin| merge_field(field, twin, spans))?);
    }
    for (at, field) in older.iter().enumerate() {
        if newer.iter().any(|f| f.name == field.name)
            || field.versions.and(spans.dropped).is_empty()
        {
            continue;
        }
        let mut kept = field.clone();
        kept.versions = kept.versions.and(spans.dropped);
        kept.nullable = kept.nullable.and(spans.dropped);
        // It goes behind the field that it followed.
        let before = at.checked_sub(1).map(|i| older[i].name.as_str());
        let place = merged.iter().position(|f| Some(f.name.as_str()) == before);
        merged.insert(place.map_or(0, |p| p + 1), kept);
    }
    Ok(merged)
}

fn merge_field(newer: &Field, older: &Field, spans: Spans) -> Result<Field, String> {
    if newer.ty != older.ty && !older.versions.and(spans.dropped).is_empty() {
        return Err(format!("{} changed its type", newer.name));
    }
    Ok(Field {
        versions: spans.join(newer.versions, older.versions)?,
        nullable: spans.join(newer.nullable, older.nullable)?,
        fields: merge_fields(&newer.fields, &older.fields, spans)?,
        ..newer.clone()
    })
}
