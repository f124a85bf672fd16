//! Which records are printed: by key and by headers.

use crate::args::Consume;
use crate::client::reader::Received;

/// What a record has to have.
pub struct Filter<'a> {
    key: Option<&'a [u8]>,
    /// Names, and values where they matter.
    headers: Vec<(&'a [u8], Option<&'a [u8]>)>,
}

impl<'a> Filter<'a> {
    /// As the command line asks for it.
    pub fn new(args: &'a Consume) -> Filter<'a> {
        let header = |text: &'a String| match text.split_once('=') {
            Some((name, value)) => (name.as_bytes(), Some(value.as_bytes())),
            None => (text.as_bytes(), None),
        };
        Filter {
            key: args.key.as_deref().map(str::as_bytes),
            headers: args.header.iter().map(header).collect(),
        }
    }

    /// True if the record is to be printed.
    pub fn lets(&self, record: &Received) -> bool {
        let key = self
            .key
            .is_none_or(|key| record.key.as_deref() == Some(key));
        key && self.headers.iter().all(|(name, value)| {
            let mut same = record.headers.iter().filter(|(known, _)| known == name);
            same.any(|(_, known)| value.is_none_or(|value| known.as_deref() == Some(value)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn lets(key: Option<&'static str>, headers: &[&'static str]) -> bool {
        let record = Received {
            partition: 0,
            offset: 0,
            timestamp: 0,
            key: Some(Bytes::from_static(b"k")),
            value: None,
            headers: vec![
                (Bytes::from_static(b"a"), Some(Bytes::from_static(b"1"))),
                (Bytes::from_static(b"a"), Some(Bytes::from_static(b"2"))),
                (Bytes::from_static(b"b"), None),
            ],
            epoch: 0,
        };
        let header = |text: &&'static str| match text.split_once('=') {
            Some((name, value)) => (name.as_bytes(), Some(value.as_bytes())),
            None => (text.as_bytes(), None),
        };
        let filter = Filter {
            key: key.map(str::as_bytes),
            headers: headers.iter().map(header).collect(),
        };
        filter.lets(&record)
    }

    #[test]
    fn key_and_every_header_must_be_there() {
        assert!(lets(None, &[]));
        assert!(lets(Some("k"), &["a=2", "b"]));
        assert!(!lets(Some("K"), &[]));
        assert!(!lets(None, &["a=3"]));
        assert!(!lets(None, &["a", "c"]));
        assert!(!lets(None, &["b="]), "no value isn't an empty one");
    }
}
