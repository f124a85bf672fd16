//! How records are printed: values on lines or as they are, a JSON object each, or hexadecimal digits.

use crate::args::{Consume, Format, Output};
use crate::client::Trouble;
use crate::client::reader::Received;
use serde_json::{Map, Value, json};
use std::io::{BufWriter, Stdout, Write};

/// Writes records to standard output.
pub struct Printer {
    out: BufWriter<Stdout>,
    topic: String,
    format: Format,
    key_separator: Option<String>,
}

impl Printer {
    /// In the form that the command line asks for.
    pub fn new(args: &Consume) -> Printer {
        Printer {
            out: BufWriter::with_capacity(1 << 16, std::io::stdout()),
            topic: args.topic.clone(),
            format: args.format.unwrap_or(match args.target.output {
                Output::Text => Format::Text,
                Output::Json => Format::Json,
            }),
            key_separator: args.key_separator.clone(),
        }
    }

    /// Writes one record.
    pub fn record(&mut self, record: &Received) -> Result<(), Trouble> {
        match self.format {
            Format::Raw => {
                let value = record.value.as_deref().unwrap_or_default();
                return Ok(self.out.write_all(value)?);
            }
            Format::Hex => {
                let (key, value) = (hex(record.key.as_deref()), hex(record.value.as_deref()));
                write!(self.out, "{key}\t{value}")?;
            }
            Format::Json => serde_json::to_writer(&mut self.out, &as_json(&self.topic, record))
                .map_err(std::io::Error::from)?,
            Format::Text => {
                if let Some(separator) = &self.key_separator {
                    self.out
                        .write_all(record.key.as_deref().unwrap_or_default())?;
                    self.out.write_all(separator.as_bytes())?;
                }
                self.out
                    .write_all(record.value.as_deref().unwrap_or_default())?;
            }
        }
        Ok(self.out.write_all(b"\n")?)
    }

    /// Shows what was written so far.
    pub fn flush(&mut self) -> Result<(), Trouble> {
        Ok(self.out.flush()?)
    }

    /// Shows the rest.
    pub fn finish(mut self) -> Result<(), Trouble> {
        self.flush()
    }
}

fn hex(bytes: Option<&[u8]>) -> String {
    let Some(bytes) = bytes else {
        return "-".to_owned();
    };
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A record as JSON. Bytes that aren't text come as `{"base64": ...}`.
pub fn as_json(topic: &str, record: &Received) -> Value {
    let mut headers = Vec::new();
    for (name, value) in &record.headers {
        let name = String::from_utf8_lossy(name);
        headers.push(json!([name, bytes_json(value.as_deref())]));
    }
    let mut object = Map::new();
    object.insert("topic".into(), topic.into());
    object.insert("partition".into(), record.partition.into());
    object.insert("offset".into(), record.offset.into());
    object.insert("timestamp".into(), record.timestamp.into());
    object.insert("key".into(), bytes_json(record.key.as_deref()));
    object.insert("value".into(), bytes_json(record.value.as_deref()));
    object.insert("headers".into(), headers.into());
    Value::Object(object)
}

fn bytes_json(bytes: Option<&[u8]>) -> Value {
    match bytes.map(std::str::from_utf8) {
        None => Value::Null,
        Some(Ok(text)) => text.into(),
        Some(Err(_)) => json!({ "base64": base64(bytes.unwrap_or_default()) }),
    }
}

/// Base64 with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut word = [0; 4];
        word[1..=chunk.len()].copy_from_slice(chunk);
        let word = u32::from_be_bytes(word);
        for at in 0..4 {
            let six = (word >> (18 - 6 * at)) & 0x3f;
            text.push(if at <= chunk.len() {
                ALPHABET[six as usize] as char
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn bytes_that_are_not_text_are_told_apart() {
        let record = Received {
            partition: 3,
            offset: 17,
            timestamp: 5,
            key: None,
            value: Some(Bytes::from_static(b"\xff\x00\x10\xfe")),
            headers: vec![(Bytes::from_static(b"a"), Some(Bytes::from_static(b"\"q\"")))],
            epoch: 1,
        };
        assert_eq!(
            as_json("t", &record).to_string(),
            r#"{"headers":[["a","\"q\""]],"key":null,"offset":17,"partition":3,"timestamp":5,"topic":"t","value":{"base64":"/wAQ/g=="}}"#
        );
        let lengths = [
            (&b""[..], ""),
            (b"f", "Zg=="),
            (b"fo", "Zm8="),
            (b"foo", "Zm9v"),
        ];
        assert!(lengths.iter().all(|(bytes, text)| base64(bytes) == *text));
    }
}
