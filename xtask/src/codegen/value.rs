//! Rust's types and expressions for the value of a field: its type, its default, how it is
//! read and written.

use super::definition::{Field, Type};
use super::emit::{Member, condition};

/// The type of the field in its struct.
pub fn rust_type(member: &Member<'_>) -> String {
    let plain = plain_type(&member.field.ty);
    if member.is_optional() {
        format!("Option<{plain}>")
    } else {
        plain
    }
}

fn plain_type(ty: &Type) -> String {
    match ty {
        Type::Bool => "bool".into(),
        Type::Int8 => "i8".into(),
        Type::Int16 => "i16".into(),
        Type::Uint16 => "u16".into(),
        Type::Int32 => "i32".into(),
        Type::Uint32 => "u32".into(),
        Type::Int64 => "i64".into(),
        Type::Float64 => "f64".into(),
        Type::Uuid => "Uuid".into(),
        Type::String => "String".into(),
        Type::Bytes => "Bytes".into(),
        Type::Records => "Records".into(),
        Type::Struct(name) => name.clone(),
        Type::Array(element) => format!("Vec<{}>", plain_type(element)),
    }
}

/// The method of reader and writer for a value of fixed size.
fn fixed(ty: &Type) -> Option<&'static str> {
    Some(match ty {
        Type::Bool => "bool",
        Type::Int8 => "i8",
        Type::Int16 => "i16",
        Type::Uint16 => "u16",
        Type::Int32 => "i32",
        Type::Uint32 => "u32",
        Type::Int64 => "i64",
        Type::Float64 => "f64",
        Type::Uuid => "uuid",
        _ => return None,
    })
}

/// The method for a value whose size depends on the form of lengths.
fn sized(ty: &Type) -> Option<&'static str> {
    Some(match ty {
        Type::String => "string",
        Type::Bytes => "bytes",
        Type::Records => "records",
        Type::Array(_) => "array",
        _ => return None,
    })
}

/// The value that a field has when nobody sets it: Kafka's, except that a field which may be
/// null is null, also where Kafka would take an empty value. A tagged field keeps Kafka's,
/// since there the default decides what is left out.
enum Default {
    Null,
    Natural,
    Literal(String),
}

fn default_of(member: &Member<'_>) -> Result<Default, String> {
    let Field {
        default,
        tag,
        ty,
        name,
        ..
    } = member.field;
    let text = match default.as_deref() {
        Some("null") => return Ok(Default::Null),
        None | Some("") if member.is_optional() && tag.is_none() => return Ok(Default::Null),
        None | Some("") => return Ok(Default::Natural),
        Some(text) => text,
    };
    let literal = match ty {
        Type::Bool => text.to_string(),
        Type::String => format!("String::from({text:?})"),
        Type::Float64 => format!("{text}f64"),
        _ if fixed(ty).is_some() && *ty != Type::Uuid => integer(text)?,
        _ => return Err(format!("{name}: a default of {text:?} is not known")),
    };
    let natural = matches!(literal.as_str(), "0" | "false");
    Ok(if natural {
        Default::Natural
    } else {
        Default::Literal(literal)
    })
}

/// A number as Rust code; the extremes by name, since digits tell a reader nothing.
fn integer(text: &str) -> Result<String, String> {
    let number = match text.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    Ok(match number.map_err(|_| format!("bad number {text:?}"))? {
        i64::MAX => "i64::MAX".into(),
        n if n == i64::from(i32::MAX) => "i32::MAX".into(),
        n if n == i64::from(i32::MIN) => "i32::MIN".into(),
        n => n.to_string(),
    })
}

/// True if the field's default is what Rust's `Default` gives.
pub fn is_natural(member: &Member<'_>) -> bool {
    match default_of(member) {
        Ok(Default::Null) => true,
        Ok(Default::Natural) => !member.is_optional(),
        _ => false,
    }
}

/// The expression of the default.
pub fn default(member: &Member<'_>) -> Result<String, String> {
    let some = |text: String| {
        if member.is_optional() {
            format!("Some({text})")
        } else {
            text
        }
    };
    Ok(match default_of(member)? {
        Default::Null => "None".into(),
        Default::Literal(text) => some(text),
        Default::Natural => some(match &member.field.ty {
            Type::Bool => "false".into(),
            Type::Float64 => "0.0".into(),
            Type::Uuid => "Uuid::ZERO".into(),
            Type::String => "String::new()".into(),
            Type::Bytes => "Bytes::new()".into(),
            Type::Records => "Records::EMPTY".into(),
            Type::Array(_) => "Vec::new()".into(),
            Type::Struct(name) => format!("{name}::default()"),
            _ => "0".into(),
        }),
    })
}

/// The condition that a tagged field must be written.
pub fn differs_from_default(member: &Member<'_>) -> Result<String, String> {
    let name = format!("self.{}", member.name);
    let nullable = member.is_optional();
    Ok(match (default_of(member)?, &member.field.ty) {
        (Default::Null, _) => format!("{name}.is_some()"),
        (Default::Natural, Type::Bool) => name,
        (Default::Literal(text), Type::Bool) if text == "true" => format!("!{name}"),
        (Default::Natural, ty) if sized(ty).is_some() && !nullable => format!("!{name}.is_empty()"),
        (Default::Natural, ty) if sized(ty).is_some() => {
            format!("{name}.as_ref().is_none_or(|v| !v.is_empty())")
        }
        _ => format!("{name} != {}", default(member)?),
    })
}

/// The expression that reads the field.
pub fn read(member: &Member<'_>) -> String {
    let plain = format!("{}?", read_plain(&member.field.ty, member.flexible));
    if !member.is_optional() {
        return plain;
    }
    let nullable = format!("{}?", read_nullable(&member.field.ty, member.flexible));
    match condition(member.nullable, member.versions) {
        Some(condition) => format!("if {condition} {{ {nullable} }} else {{ Some({plain}) }}"),
        None => nullable,
    }
}

fn read_plain(ty: &Type, flexible: &str) -> String {
    match (ty, fixed(ty), sized(ty)) {
        (_, Some(method), _) => format!("r.{method}()"),
        (Type::Struct(name), ..) => format!("{name}::decode(version, r)"),
        (Type::Array(element), ..) => {
            format!("r.array({flexible}, {})", reader_of(element, flexible))
        }
        (.., method) => format!(
            "r.{}({flexible})",
            method.expect("every other type is sized")
        ),
    }
}

fn read_nullable(ty: &Type, flexible: &str) -> String {
    match (ty, sized(ty)) {
        (Type::Array(element), _) => {
            format!(
                "r.nullable_array({flexible}, {})",
                reader_of(element, flexible)
            )
        }
        (Type::Struct(name), _) => format!("r.nullable_struct(|r| {name}::decode(version, r))"),
        (_, method) => format!("r.nullable_{}({flexible})", method.unwrap_or("struct")),
    }
}

fn reader_of(element: &Type, flexible: &str) -> String {
    match fixed(element) {
        Some(method) => format!("Reader::{method}"),
        None => format!("|r| {}", read_plain(element, flexible)),
    }
}

/// The expression that writes the field.
pub fn write(member: &Member<'_>) -> String {
    let name = format!("self.{}", member.name);
    let (ty, flexible) = (&member.field.ty, member.flexible);
    if !member.is_optional() {
        return write_plain(ty, flexible, &name, "&");
    }
    let nullable = write_nullable(ty, flexible, &name);
    match condition(member.nullable, member.versions) {
        Some(condition) => {
            let empty = match ty {
                Type::String | Type::Array(_) => format!("{name}.as_deref().unwrap_or_default()"),
                _ => format!("&{name}.clone().unwrap_or_default()"),
            };
            let plain = write_plain(ty, flexible, &empty, "");
            format!("if {condition} {{ {nullable} }} else {{ {plain} }}")
        }
        None => nullable,
    }
}

fn write_plain(ty: &Type, flexible: &str, value: &str, borrow: &str) -> String {
    match (ty, fixed(ty), sized(ty)) {
        (_, Some(method), _) => format!("w.{method}({value})"),
        (Type::Struct(_), ..) => format!("{value}.encode(version, w)"),
        (Type::Array(element), ..) => {
            format!(
                "w.array({flexible}, {borrow}{value}, {})",
                writer_of(element, flexible)
            )
        }
        (.., method) => {
            format!(
                "w.{}({flexible}, {borrow}{value})",
                method.expect("every other type is sized")
            )
        }
    }
}

fn write_nullable(ty: &Type, flexible: &str, value: &str) -> String {
    match ty {
        Type::Array(element) => format!(
            "w.nullable_array({flexible}, {value}.as_deref(), {})",
            writer_of(element, flexible)
        ),
        Type::Struct(_) => {
            format!("w.nullable_struct({value}.as_ref(), |w, x| x.encode(version, w))")
        }
        Type::String => format!("w.nullable_string({flexible}, {value}.as_deref())"),
        _ => format!(
            "w.nullable_{}({flexible}, {value}.as_ref())",
            sized(ty).unwrap_or("struct")
        ),
    }
}

fn writer_of(element: &Type, flexible: &str) -> String {
    match fixed(element) {
        Some(method) => format!("|w, x| w.{method}(*x)"),
        None => format!("|w, x| {}", write_plain(element, flexible, "x", "")),
    }
}
