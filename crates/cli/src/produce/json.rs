//! A record as a JSON object, as `consume` prints them. Bytes that aren't text are
//! `{"base64": ...}`, as there.

use crate::client::producer::Record;
use bytes::Bytes;
use serde_json::Value;

/// Fills in what the object has, and gives the partition that it names. What `consume` prints
/// beside it - topic and offset - is where the record came from, and no matter.
pub fn fill(record: &mut Record, line: &[u8]) -> Result<Option<i32>, String> {
    let object: Value = serde_json::from_slice(line).map_err(|e| e.to_string())?;
    let object = object.as_object().ok_or("it is no JSON object")?;
    let mut partition = None;
    for (field, value) in object {
        let wrong = |what: &str| format!("{field} has to be {what}");
        match field.as_str() {
            "key" => record.key = bytes(field, value)?,
            "value" => record.value = bytes(field, value)?,
            "headers" => record.headers.extend(headers(value)?),
            "timestamp" => {
                let ms = value.as_i64().filter(|ms| *ms >= 0);
                record.timestamp = ms.ok_or_else(|| wrong("milliseconds since 1970"))?;
            }
            "partition" => {
                let number = value.as_i64().and_then(|number| i32::try_from(number).ok());
                let number = number.filter(|number| *number >= 0);
                partition = Some(number.ok_or_else(|| wrong("a number from 0"))?);
            }
            "topic" | "offset" => {}
            _ => {
                let known = "key, value, headers, partition, timestamp";
                return Err(format!("there is no field {field}; known: {known}"));
            }
        }
    }
    Ok(partition)
}

fn bytes(field: &str, value: &Value) -> Result<Option<Bytes>, String> {
    let wrong = || format!(r#"{field} has to be a text, null or {{"base64": ...}}"#);
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(Bytes::from(text.clone().into_bytes()))),
        Value::Object(object) => {
            let text = object.get("base64").and_then(Value::as_str);
            let bytes = text.filter(|_| object.len() == 1).and_then(unbase64);
            bytes.map(Some).ok_or_else(wrong)
        }
        _ => Err(wrong()),
    }
}

type Header = (Bytes, Option<Bytes>);

/// Pairs of name and value, or an object of them.
fn headers(value: &Value) -> Result<Vec<Header>, String> {
    let named = |name: &str, value: &Value| {
        let name = Bytes::from(name.to_owned().into_bytes());
        bytes("a header", value).map(|value| (name, value))
    };
    let wrong = || "headers have to be [[NAME, VALUE], ...] or an object".to_owned();
    match value {
        Value::Object(object) => object.iter().map(|(n, v)| named(n, v)).collect(),
        Value::Array(pairs) => {
            let pair = |pair: &Value| match pair.as_array().map(Vec::as_slice) {
                Some([Value::String(name), value]) => named(name, value),
                _ => Err(wrong()),
            };
            pairs.iter().map(pair).collect()
        }
        _ => Err(wrong()),
    }
}

/// Base64, with or without padding.
fn unbase64(text: &str) -> Option<Bytes> {
    let text = text.trim_end_matches('=');
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut held) = (0u32, 0);
    for byte in text.bytes() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    (held < 6).then(|| out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(line: &str) -> Result<(Record, Option<i32>), String> {
        let mut record = Record {
            timestamp: 7,
            key: None,
            value: None,
            headers: vec![("all".into(), Some("x".into()))],
        };
        let partition = fill(&mut record, line.as_bytes())?;
        Ok((record, partition))
    }

    #[test]
    fn what_consume_prints_comes_back_as_it_was() {
        let line = r#"{"headers":[["a","\"q\""],["b",null]],"key":null,"offset":17,"partition":3,"timestamp":5,"topic":"t","value":{"base64":"/wAQ/g=="}}"#;
        let (record, partition) = filled(line).expect("a record");
        assert_eq!(partition, Some(3));
        assert_eq!((record.timestamp, record.key), (5, None));
        assert_eq!(record.value.as_deref(), Some(&b"\xff\x00\x10\xfe"[..]));
        let header = |name: &'static str, value: Option<&'static str>| {
            (Bytes::from(name), value.map(Bytes::from))
        };
        let headers = [
            header("all", Some("x")),
            header("a", Some("\"q\"")),
            header("b", None),
        ];
        assert_eq!(record.headers, headers);
    }

    #[test]
    fn what_is_left_out_stays_as_it_is_and_what_is_wrong_is_named() {
        let (record, partition) = filled(r#"{"key":"k","headers":{"n":"v"}}"#).expect("a record");
        assert_eq!((record.timestamp, partition, record.value), (7, None, None));
        assert_eq!(record.headers.len(), 2);
        for (line, named) in [
            (r#"{"kye":"k"}"#, "kye"),
            (r#"{"key":5}"#, "key"),
            (r#"{"value":{"base64":"!"}}"#, "value"),
            (r#"{"partition":-1}"#, "partition"),
            ("[]", "object"),
        ] {
            let why = filled(line).expect_err(line);
            assert!(why.contains(named), "{line}: {why}");
        }
    }
}
