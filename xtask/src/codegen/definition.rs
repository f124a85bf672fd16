//! A message definition as Kafka's jars carry it: JSON with `//` comments. Only what the
//! generated code needs is kept; the explaining texts are not read.

use serde_json::Value;

/// A range of versions, both ends included. Empty if `low > high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    pub low: i16,
    pub high: i16,
}

impl Versions {
    pub const NONE: Versions = Versions { low: 1, high: 0 };
    pub const ALL: Versions = Versions {
        low: 0,
        high: i16::MAX,
    };

    /// Reads `none`, `3`, `3+` or `3-5`.
    pub fn parse(text: &str) -> Result<Versions, String> {
        let number = |t: &str| {
            t.trim()
                .parse::<i16>()
                .map_err(|_| format!("bad versions {text:?}"))
        };
        if text == "none" {
            return Ok(Versions::NONE);
        }
        if let Some(low) = text.strip_suffix('+') {
            return Ok(Versions {
                low: number(low)?,
                high: i16::MAX,
            });
        }
        if let Some((low, high)) = text.split_once('-') {
            return Ok(Versions {
                low: number(low)?,
                high: number(high)?,
            });
        }
        Ok(Versions {
            low: number(text)?,
            high: number(text)?,
        })
    }

    pub fn is_empty(self) -> bool {
        self.low > self.high
    }

    pub fn and(self, other: Versions) -> Versions {
        let both = Versions {
            low: self.low.max(other.low),
            high: self.high.min(other.high),
        };
        if both.is_empty() {
            Versions::NONE
        } else {
            both
        }
    }

    /// True if every version of `other` is one of these.
    pub fn covers(self, other: Versions) -> bool {
        self.and(other) == other
    }

    /// Joins two ranges that touch or overlap.
    pub fn join(self, other: Versions) -> Result<Versions, String> {
        if self.is_empty() {
            return Ok(other);
        }
        if other.is_empty() {
            return Ok(self);
        }
        let apart = i32::from(self.low.max(other.low)) > i32::from(self.high.min(other.high)) + 1;
        if apart {
            return Err(format!("versions {self:?} and {other:?} leave a gap"));
        }
        Ok(Versions {
            low: self.low.min(other.low),
            high: self.high.max(other.high),
        })
    }
}

/// The type of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    Bool,
    Int8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Int64,
    Float64,
    Uuid,
    String,
    Bytes,
    Records,
    Struct(String),
    Array(Box<Type>),
}

impl Type {
    fn parse(text: &str) -> Result<Type, String> {
        if let Some(element) = text.strip_prefix("[]") {
            return Ok(Type::Array(Box::new(Type::parse(element)?)));
        }
        Ok(match text {
            "bool" => Type::Bool,
            "int8" => Type::Int8,
            "int16" => Type::Int16,
            "uint16" => Type::Uint16,
            "int32" => Type::Int32,
            "uint32" => Type::Uint32,
            "int64" => Type::Int64,
            "float64" => Type::Float64,
            "uuid" => Type::Uuid,
            "string" => Type::String,
            "bytes" => Type::Bytes,
            "records" => Type::Records,
            _ if text.starts_with(|c: char| c.is_ascii_uppercase()) => Type::Struct(text.into()),
            _ => return Err(format!("unknown type {text:?}")),
        })
    }

    /// The struct this is, or is an array of.
    pub fn structure(&self) -> Option<&str> {
        match self {
            Type::Struct(name) => Some(name),
            Type::Array(element) => element.structure(),
            _ => None,
        }
    }
}

/// A field of a message or of a struct in it.
#[derive(Clone, Debug)]
pub struct Field {
    pub name: String,
    pub ty: Type,
    pub versions: Versions,
    pub nullable: Versions,
    /// The tag and the versions in which the field is tagged.
    pub tag: Option<(u32, Versions)>,
    pub default: Option<String>,
    /// False for the one field that keeps the old form in flexible versions: the client id.
    pub follows_flexible: bool,
    /// Fields of the struct, if the struct is defined right here.
    pub fields: Vec<Field>,
}

/// A struct that several fields of a message share.
#[derive(Clone, Debug)]
pub struct Common {
    pub name: String,
    pub fields: Vec<Field>,
}

/// Which kind a message is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Request,
    Response,
    Header,
    /// Bytes inside of other messages or records.
    Data,
}

/// One definition.
#[derive(Clone, Debug)]
pub struct Message {
    pub kind: Kind,
    pub key: Option<i16>,
    pub name: String,
    pub valid: Versions,
    pub flexible: Versions,
    /// The last version may still change.
    pub unstable: bool,
    pub fields: Vec<Field>,
    pub common: Vec<Common>,
}

impl Message {
    /// Reads a definition; `None` if the JSON is of another kind (metadata).
    pub fn parse(text: &str) -> Result<Option<Message>, String> {
        let json: Value =
            serde_json::from_str(&without_comments(text)).map_err(|e| e.to_string())?;
        let kind = match json["type"].as_str() {
            Some("request") => Kind::Request,
            Some("response") => Kind::Response,
            Some("header") => Kind::Header,
            Some("data") => Kind::Data,
            _ => return Ok(None),
        };
        let name = text_of(&json, "name")?;
        let message = || -> Result<Message, String> {
            Ok(Message {
                kind,
                key: json["apiKey"].as_i64().map(|key| key as i16),
                name: name.clone(),
                valid: versions_of(&json, "validVersions", Versions::NONE)?,
                flexible: versions_of(&json, "flexibleVersions", Versions::NONE)?,
                unstable: json["latestVersionUnstable"].as_bool().unwrap_or(false),
                fields: fields_of(&json)?,
                common: commons_of(&json)?,
            })
        };
        message().map(Some).map_err(|e| format!("{name}: {e}"))
    }
}

fn commons_of(json: &Value) -> Result<Vec<Common>, String> {
    let list = json["commonStructs"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    list.iter()
        .map(|c| {
            Ok(Common {
                name: text_of(c, "name")?,
                fields: fields_of(c)?,
            })
        })
        .collect()
}

fn fields_of(json: &Value) -> Result<Vec<Field>, String> {
    let list = json["fields"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    list.iter().map(field_of).collect()
}

fn field_of(json: &Value) -> Result<Field, String> {
    let versions = versions_of(json, "versions", Versions::ALL)?;
    let tag = match json["tag"].as_u64() {
        Some(tag) => Some((tag as u32, versions_of(json, "taggedVersions", versions)?)),
        None => None,
    };
    Ok(Field {
        name: text_of(json, "name")?,
        ty: Type::parse(&text_of(json, "type")?)?,
        versions,
        nullable: versions_of(json, "nullableVersions", Versions::NONE)?.and(versions),
        tag,
        default: match &json["default"] {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        },
        follows_flexible: json["flexibleVersions"].is_null(),
        fields: fields_of(json)?,
    })
}

fn text_of(json: &Value, key: &str) -> Result<String, String> {
    json[key]
        .as_str()
        .map(String::from)
        .ok_or_else(|| format!("{key} is missing"))
}

fn versions_of(json: &Value, key: &str, otherwise: Versions) -> Result<Versions, String> {
    json[key].as_str().map_or(Ok(otherwise), Versions::parse)
}

/// Drops `//` comments that stand outside of strings.
fn without_comments(text: &str) -> String {
    text.lines()
        .map(line_without_comment)
        .collect::<Vec<_>>()
        .join("\n")
}

fn line_without_comment(line: &str) -> &str {
    let bytes = line.as_bytes();
    let (mut quoted, mut at) = (false, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            b'/' if !quoted && bytes.get(at + 1) == Some(&b'/') => return &line[..at],
            _ => {}
        }
        at += 1;
    }
    line
}
