//! Configuration files: YAML, nested or with dotted keys, or a Kafka `server.properties`, told
//! apart by the ending of the name. Only reading: what the keys mean is not known here.

use super::source::{Given, Source};
use serde_json::Value;

/// The kinds of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// YAML, which includes JSON.
    Yaml,
    /// Java properties, as Kafka's own.
    Properties,
}

impl Format {
    /// Told by the ending.
    pub fn of(name: &str) -> Format {
        if name.ends_with(".properties") {
            Format::Properties
        } else {
            Format::Yaml
        }
    }
}

/// Reads the text of a file. Errors name the place in it.
pub fn parse(name: &str, text: &str) -> Result<Vec<Given>, String> {
    let pairs = match Format::of(name) {
        Format::Yaml => yaml(text)?,
        Format::Properties => properties(text)?,
    };
    let source = Source::File(name.to_owned());
    Ok(pairs
        .into_iter()
        .map(|(key, value)| Given::new(key, value, source.clone()))
        .collect())
}

fn yaml(text: &str) -> Result<Vec<(String, String)>, String> {
    if text
        .lines()
        .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
    {
        return Ok(Vec::new());
    }
    let value: Value = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    let mut pairs = Vec::new();
    match value {
        Value::Object(_) => flatten("", &value, &mut pairs)?,
        Value::Null => {}
        _ => return Err("the file must hold keys and values".to_owned()),
    }
    if let Some(twice) = first_twice(&pairs) {
        return Err(format!("'{twice}' is given twice"));
    }
    Ok(pairs)
}

fn flatten(path: &str, value: &Value, pairs: &mut Vec<(String, String)>) -> Result<(), String> {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                flatten(&path, value, pairs)?;
            }
        }
        // A key without a value leaves the default in force.
        Value::Null => {}
        Value::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(scalar).collect();
            let items = items.ok_or_else(|| format!("'{path}' must be a list of plain values"))?;
            pairs.push((path.to_owned(), items.join(",")));
        }
        _ => pairs.push((
            path.to_owned(),
            scalar(value).expect("neither map nor list nor null"),
        )),
    }
    Ok(())
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(bool) => Some(bool.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn first_twice(pairs: &[(String, String)]) -> Option<&str> {
    let mut names: Vec<&str> = pairs.iter().map(|(key, _)| key.as_str()).collect();
    names.sort_unstable();
    names
        .windows(2)
        .find(|pair| pair[0] == pair[1])
        .map(|pair| pair[0])
}

/// As Java reads them: the last of two equal keys holds, a backslash continues a line or escapes.
fn properties(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let mut line = line.trim_start().to_owned();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        while continues(&line) {
            line.pop();
            let Some((_, next)) = lines.next() else { break };
            line.push_str(next.trim_start());
        }
        let (key, value) = split(&line);
        let unescaped =
            |text: &str| unescape(text).map_err(|e| format!("line {}: {e}", number + 1));
        let (key, value) = (unescaped(key)?, unescaped(value)?);
        pairs.retain(|(known, _)| *known != key);
        pairs.push((key, value.trim_end().to_owned()));
    }
    Ok(pairs)
}

fn continues(line: &str) -> bool {
    line.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1
}

/// Cuts at the first `=`, `:` or blank that isn't escaped.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.char_indices().find(|(_, c)| {
        let separates = !escaped && (matches!(c, '=' | ':') || c.is_whitespace());
        escaped = *c == '\\' && !escaped;
        separates
    });
    let Some((end, _)) = end else {
        return (line, "");
    };
    let rest = line[end..].trim_start();
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (&line[..end], value.trim_start())
}

fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\u{c}'),
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                let code = u32::from_str_radix(&digits, 16)
                    .ok()
                    .filter(|_| digits.len() == 4);
                let c = code.and_then(char::from_u32);
                out.push(c.ok_or_else(|| format!("'\\u{digits}' is no character"))?);
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
