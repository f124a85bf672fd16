//! The values a configuration key takes, and the words in which a wrong one is refused. Topic
//! keys and node keys share these.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// 32 bits, signed.
    Int,
    /// 64 bits, signed.
    Long,
    /// A floating point number.
    Double,
    /// Text.
    Text,
    /// Texts, separated by commas.
    List,
}

impl Kind {
    /// The name in messages and in the reference.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Boolean => "BOOLEAN",
            Kind::Int => "INT",
            Kind::Long => "LONG",
            Kind::Double => "DOUBLE",
            Kind::Text => "STRING",
            Kind::List => "LIST",
        }
    }
}

/// Which values of its type a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// All.
    Any,
    /// From here on.
    AtLeast(i64),
    /// From here to there, both included.
    Between(i64, i64),
    /// From here to there, both included, or this one.
    BetweenOr(i64, i64, i64),
    /// One of these texts; of a list, each.
    OneOf(&'static [&'static str]),
    /// Counts of addresses as `address:count`, separated by commas.
    Counts,
    /// `*`, or replicas as `partition:node`, separated by commas.
    Replicas,
}

impl Rule {
    /// The rule in text, for messages and for the reference; empty if everything goes.
    pub fn describe(self) -> String {
        match self {
            Rule::Any => String::new(),
            Rule::AtLeast(min) => format!("[{min},...]"),
            Rule::Between(min, max) => format!("[{min},...,{max}]"),
            Rule::BetweenOr(min, max, or) => format!("[{min},...,{max}] or {or}"),
            Rule::OneOf(allowed) => format!("[{}]", allowed.join(", ")),
            Rule::Counts => "[address]:[count],[address]:[count],...".to_owned(),
            Rule::Replicas => "[partitionId]:[brokerId],[partitionId]:[brokerId],...".to_owned(),
        }
    }
}

/// Checks a value of the key `name`.
pub fn check(name: &str, kind: Kind, rule: Rule, value: &str) -> Result<(), String> {
    let value = value.trim();
    let no = |why: &str| {
        let tail = if why.is_empty() {
            String::new()
        } else {
            format!(": {why}")
        };
        Err(format!(
            "Invalid value {value} for configuration {name}{tail}"
        ))
    };
    match kind {
        Kind::Boolean => match value.to_ascii_lowercase().as_str() {
            "true" | "false" => Ok(()),
            _ => no("Expected value to be either true or false"),
        },
        Kind::Int => match value.parse::<i32>() {
            Ok(number) => in_range(rule, f64::from(number), i64::from(number)).or_else(|e| no(&e)),
            Err(_) => no("Not a number of type INT"),
        },
        Kind::Long => match value.parse::<i64>() {
            Ok(number) => in_range(rule, number as f64, number).or_else(|e| no(&e)),
            Err(_) => no("Not a number of type LONG"),
        },
        Kind::Double => match value.parse::<f64>() {
            Ok(number) => in_range(rule, number, number.floor() as i64).or_else(|e| no(&e)),
            Err(_) => no("Not a number of type DOUBLE"),
        },
        Kind::Text => match rule {
            Rule::OneOf(allowed) if !allowed.contains(&value) => no(&one_of(allowed)),
            Rule::Counts if counts(value).is_none() => no(&format!("Expected {}", rule.describe())),
            _ => Ok(()),
        },
        Kind::List => check_list(name, rule, value),
    }
}

/// Checks a number. Whole numbers compare as such, since a double can't tell large ones apart;
/// `whole` is the number rounded down.
fn in_range(rule: Rule, number: f64, whole: i64) -> Result<(), String> {
    let below = |min: i64| whole < min || number.is_nan();
    let above = |max: i64| whole > max || (whole == max && number > max as f64);
    match rule {
        Rule::AtLeast(min) | Rule::Between(min, _) if below(min) => {
            Err(format!("Value must be at least {min}"))
        }
        Rule::Between(_, max) if above(max) => Err(format!("Value must be no more than {max}")),
        Rule::BetweenOr(min, max, or) if (below(min) || above(max)) && whole != or => Err(format!(
            "Value must be between {min} and {max} or equal to {or}"
        )),
        _ => Ok(()),
    }
}

fn one_of(allowed: &[&str]) -> String {
    format!("String must be one of: {}", allowed.join(", "))
}

/// The items of a list value.
pub fn items(value: &str) -> impl Iterator<Item = &str> {
    let value = value.trim();
    value
        .split(',')
        .map(str::trim)
        .filter(move |_| !value.is_empty())
}

/// What a value says that counts addresses; none if it isn't one. An address of IPv6 may stand in brackets.
pub fn counts(value: &str) -> Option<BTreeMap<IpAddr, u32>> {
    let one = |item: &str| {
        let (address, count) = item.rsplit_once(':')?;
        let inner = address.trim().strip_prefix('[');
        let inner = inner.and_then(|inner| inner.strip_suffix(']'));
        let address = inner.unwrap_or(address.trim()).parse().ok()?;
        Some((address, count.trim().parse().ok()?))
    };
    items(value).map(one).collect()
}

fn check_list(name: &str, rule: Rule, value: &str) -> Result<(), String> {
    if let Rule::Replicas = rule {
        return check_replicas(name, value);
    }
    let all: Vec<&str> = items(value).collect();
    for (at, item) in all.iter().enumerate() {
        if all[..at].contains(item) {
            return Err(format!(
                "Configuration '{name}' values must not be duplicated."
            ));
        }
        if item.is_empty() {
            return Err(format!("Configuration '{name}' values must not be empty."));
        }
        match rule {
            Rule::OneOf(allowed) if !allowed.contains(item) => {
                let why = one_of(allowed);
                return Err(format!(
                    "Invalid value {item} for configuration {name}: {why}"
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_replicas(name: &str, value: &str) -> Result<(), String> {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let replica =
        |item: &str| matches!(item.split_once(':'), Some((p, n)) if number(p) && number(n));
    if value == "*" || items(value).all(replica) {
        return Ok(());
    }
    Err(format!(
        "Invalid value {value} for configuration {name}: {name} must be the literal '*' or a list \
         of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],..."
    ))
}
