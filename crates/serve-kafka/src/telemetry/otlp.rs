//! What clients push, read: numbers of OpenTelemetry's `MetricsData`, in the wire format of protocol buffers. Histograms and
//! summaries, which no client of Kafka pushes, are passed over; so is every field that isn't needed.

use super::{LABELS_MAX, SERIES_MAX, TEXT_BYTES_MAX};

/// A number at one place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) name: String,
    /// What sets it apart from its siblings, the client's own attributes among them.
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) value: Value,
}

/// What a number says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    /// How much it is.
    Gauge(f64),
    /// How much was added since the last push.
    Delta(f64),
    /// How much was added since the client began.
    Sum(f64),
}

/// The bytes aren't what they say to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are no metrics of OpenTelemetry")]
pub(crate) struct Malformed;

/// One field of a message.
enum Field<'a> {
    Number(u64),
    Fixed(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, one after the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(Malformed)?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    fn take(&mut self, bytes: u64) -> Result<&'a [u8], Malformed> {
        let bytes = usize::try_from(bytes).map_err(|_| Malformed)?;
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn fixed(&mut self, bytes: usize) -> Result<u64, Malformed> {
        let mut value = [0; 8];
        value[..bytes].copy_from_slice(self.take(bytes as u64)?);
        Ok(u64::from_le_bytes(value))
    }

    fn field(&mut self) -> Result<Option<(u64, Field<'a>)>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let field = match key & 7 {
            0 => Field::Number(self.varint()?),
            1 => Field::Fixed(self.fixed(8)?),
            2 => {
                let length = self.varint()?;
                Field::Bytes(self.take(length)?)
            }
            5 => Field::Fixed(self.fixed(4)?),
            _ => return Err(Malformed),
        };
        Ok(Some((key >> 3, field)))
    }

    /// Calls for every part of a message that is a message of its own.
    fn each(
        mut self,
        mut part: impl FnMut(u64, Fields<'a>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        while let Some((number, field)) = self.field()? {
            if let Field::Bytes(bytes) = field {
                part(number, Fields(bytes))?;
            }
        }
        Ok(())
    }
}

type Attributes = Vec<(String, String)>;

/// The numbers in `MetricsData`.
pub(crate) fn points(bytes: &[u8]) -> Result<Vec<Point>, Malformed> {
    let mut points = Vec::new();
    Fields(bytes).each(|number, resource| match number {
        1 => of_resource(resource, &mut points),
        _ => Ok(()),
    })?;
    Ok(points)
}

/// `ResourceMetrics`: what the client says of itself, and its scopes.
fn of_resource(fields: Fields<'_>, points: &mut Vec<Point>) -> Result<(), Malformed> {
    let mut own = Vec::new();
    let begin = points.len();
    fields.each(|number, part| match number {
        1 => part.each(|number, attribute| attribute_into(&mut own, number == 1, attribute)),
        2 => part.each(|number, metric| match number {
            2 => of_metric(metric, points),
            _ => Ok(()),
        }),
        _ => Ok(()),
    })?;
    for point in &mut points[begin..] {
        let room = LABELS_MAX.saturating_sub(point.attributes.len());
        point.attributes.extend(own.iter().take(room).cloned());
    }
    Ok(())
}

/// `Metric`: its name, and a gauge or a sum.
fn of_metric(fields: Fields<'_>, points: &mut Vec<Point>) -> Result<(), Malformed> {
    let mut name = "";
    let mut data: Vec<(bool, Fields<'_>)> = Vec::new();
    fields.each(|number, part| {
        match number {
            1 => name = std::str::from_utf8(part.0).map_err(|_| Malformed)?,
            5 => data.push((false, part)),
            7 => data.push((true, part)),
            _ => {}
        }
        Ok(())
    })?;
    // A name that nobody would keep is not written down for each of its points.
    let data = data.into_iter().filter(|_| name.len() <= TEXT_BYTES_MAX);
    for (is_sum, part) in data {
        numbers(name, is_sum, part, points)?;
    }
    Ok(())
}

/// `Gauge` or `Sum`: its points, and how a sum's are to be added up.
fn numbers(
    name: &str,
    is_sum: bool,
    mut fields: Fields<'_>,
    points: &mut Vec<Point>,
) -> Result<(), Malformed> {
    /// `AGGREGATION_TEMPORALITY_DELTA`.
    const DELTA: u64 = 1;
    let (mut is_delta, mut is_monotonic) = (false, false);
    let mut found = Vec::new();
    while let Some((number, field)) = fields.field()? {
        match (number, field) {
            (1, Field::Bytes(bytes)) if points.len() + found.len() < SERIES_MAX => {
                found.extend(point(Fields(bytes))?);
            }
            (2, Field::Number(temporality)) => is_delta = temporality == DELTA,
            (3, Field::Number(value)) => is_monotonic = value != 0,
            _ => {}
        }
    }
    points.extend(found.into_iter().map(|(attributes, number)| Point {
        name: name.to_owned(),
        attributes,
        value: match (is_sum, is_delta, is_monotonic) {
            (true, true, _) => Value::Delta(number),
            (true, false, true) => Value::Sum(number),
            _ => Value::Gauge(number),
        },
    }));
    Ok(())
}

/// `NumberDataPoint`; none if it has no value.
fn point(mut fields: Fields<'_>) -> Result<Option<(Attributes, f64)>, Malformed> {
    let (mut attributes, mut value) = (Vec::new(), None);
    while let Some((number, field)) = fields.field()? {
        match (number, field) {
            (4, Field::Fixed(bits)) => value = Some(f64::from_bits(bits)),
            (6, Field::Fixed(bits)) => value = Some(bits.cast_signed() as f64),
            (7, Field::Bytes(bytes)) => attribute_into(&mut attributes, true, Fields(bytes))?,
            _ => {}
        }
    }
    Ok(value.map(|value| (attributes, value)))
}

/// As much of a text as may be kept.
fn text(bytes: &[u8]) -> String {
    let kept = &bytes[..bytes.len().min(TEXT_BYTES_MAX)];
    String::from_utf8_lossy(kept).into_owned()
}

/// `KeyValue`, where the value is a text or a number.
fn attribute_into(
    into: &mut Attributes,
    wanted: bool,
    fields: Fields<'_>,
) -> Result<(), Malformed> {
    let (mut key, mut value) = (String::new(), None);
    fields.each(|number, mut part| {
        match number {
            1 => key = text(part.0),
            2 => {
                if let Some((number, field)) = part.field()? {
                    value = match (number, field) {
                        (1, Field::Bytes(bytes)) => Some(text(bytes)),
                        (2, Field::Number(is)) => Some((is != 0).to_string()),
                        (3, Field::Number(number)) => Some(number.cast_signed().to_string()),
                        _ => None,
                    };
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    if let Some(value) = value.filter(|_| wanted && into.len() < LABELS_MAX) {
        into.push((key, value));
    }
    Ok(())
}
