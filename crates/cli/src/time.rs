//! Times as people write them: ISO 8601 durations and dates, without a calendar library.

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Milliseconds of `P1DT2H3M4.5S`, or of short forms: `90s`, `15m`, `2h`, `7d`.
pub fn duration_ms(text: &str) -> Result<i64, String> {
    let refused = || "write it as PT1H30M, or 90s, 15m, 2h, 7d".to_owned();
    let upper = text.trim().to_ascii_uppercase();
    let parsed = match upper.strip_prefix('P') {
        Some(iso) => iso_duration(iso),
        None => short_duration(&upper),
    };
    parsed.filter(|ms| *ms >= 0).ok_or_else(refused)
}

fn short_duration(text: &str) -> Option<i64> {
    let unit = match text.chars().last()? {
        'S' => SECOND,
        'M' => MINUTE,
        'H' => HOUR,
        'D' => DAY,
        _ => return None,
    };
    scaled(&text[..text.len() - 1], unit)
}

/// What follows the `P`.
fn iso_duration(text: &str) -> Option<i64> {
    let (days, clock) = match text.split_once('T') {
        Some((days, clock)) => (days, Some(clock)),
        None => (text, None),
    };
    let mut total = parts(days, &[('W', 7 * DAY), ('D', DAY)])?;
    if let Some(clock) = clock {
        if clock.is_empty() {
            return None;
        }
        let clock = parts(clock, &[('H', HOUR), ('M', MINUTE), ('S', SECOND)])?;
        total = total.checked_add(clock)?;
    } else if days.is_empty() {
        return None;
    }
    Some(total)
}

/// Numbers with units, the units in this order.
fn parts(mut text: &str, units: &[(char, i64)]) -> Option<i64> {
    let mut total = 0_i64;
    for (unit, ms) in units {
        if let Some((number, rest)) = text.split_once(*unit) {
            total = total.checked_add(scaled(number, *ms)?)?;
            text = rest;
        }
    }
    text.is_empty().then_some(total)
}

/// `1.5` times a unit.
fn scaled(number: &str, unit: i64) -> Option<i64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let part = match fraction {
        "" => 0,
        f => f.parse::<i64>().ok()?.checked_mul(unit)? / 10_i64.pow(f.len() as u32),
    };
    whole
        .parse::<i64>()
        .ok()?
        .checked_mul(unit)?
        .checked_add(part)
}

fn digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

/// Milliseconds since 1970 of `2026-01-31T12:00:00.250Z`. Seconds and what follows them may be
/// left out; without an offset from UTC it is UTC.
pub fn datetime_ms(text: &str) -> Result<i64, String> {
    datetime(text.trim())
        .ok_or_else(|| "write it as 2026-01-31T12:00:00, with Z or +02:00 if need be".to_owned())
}

fn datetime(text: &str) -> Option<i64> {
    let (date, clock) = text.split_once('T')?;
    let [year, month, day] = numbers(date, '-')?;
    let (clock, offset) = match clock.find(['Z', '+', '-']) {
        Some(at) => (&clock[..at], zone_ms(&clock[at..])?),
        None => (clock, 0),
    };
    let (clock, seconds) = match clock.match_indices(':').nth(1) {
        Some((at, _)) => (&clock[..at], scaled(&clock[at + 1..], SECOND)?),
        None => (clock, 0),
    };
    let [hour, minute] = numbers(clock, ':')?;
    let valid = (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day);
    if !valid || hour > 23 || minute > 59 || seconds >= MINUTE {
        return None;
    }
    let days = days_since_1970(year, month, day);
    Some(days * DAY + hour * HOUR + minute * MINUTE + seconds - offset)
}

fn numbers<const N: usize>(text: &str, between: char) -> Option<[i64; N]> {
    let number = |part: &str| match part.len() {
        2 | 4 if digits(part) => part.parse::<i64>().ok(),
        _ => None,
    };
    let all: Option<Vec<i64>> = text.split(between).map(number).collect();
    all?.try_into().ok()
}

/// `Z`, `+02`, `+0200` or `+02:00`.
fn zone_ms(text: &str) -> Option<i64> {
    if text == "Z" {
        return Some(0);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let clock = text[1..].replace(':', "");
    if !digits(&clock) || !matches!(clock.len(), 2 | 4) {
        return None;
    }
    let hours: i64 = clock[..2].parse().ok()?;
    let minutes: i64 = clock
        .get(2..)
        .filter(|m| !m.is_empty())
        .unwrap_or("0")
        .parse()
        .ok()?;
    (hours <= 18 && minutes <= 59).then_some(sign * (hours * HOUR + minutes * MINUTE))
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a day of the Gregorian calendar.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let before = |year: i64| {
        let last = year - 1;
        last * 365 + last / 4 - last / 100 + last / 400
    };
    let months: i64 = (1..month).map(|month| days_of(year, month)).sum();
    before(year) - before(1970) + months + day - 1
}

/// A span as people say it: `3 s`, `12 min`, `5 h`, `2 d`.
pub fn spoken(ms: i64) -> String {
    match ms {
        ..SECOND => format!("{ms} ms"),
        SECOND..MINUTE => format!("{} s", ms / SECOND),
        MINUTE..HOUR => format!("{} min", ms / MINUTE),
        HOUR..DAY => format!("{} h", ms / HOUR),
        _ => format!("{} d", ms / DAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_both_forms() {
        for (text, ms) in [
            ("PT1H30M", 90 * MINUTE),
            ("P2DT0.5S", 2 * DAY + 500),
            ("P1W", 7 * DAY),
            ("90s", 90_000),
            ("1.5h", 90 * MINUTE),
            ("7d", 7 * DAY),
        ] {
            assert_eq!(duration_ms(text), Ok(ms), "{text}");
        }
        let huge = format!("P{}D", i64::MAX);
        for bad in [
            "", "P", "PT", "PT1D", "1", "-1h", "h", "PT1M1H", "1h30", &huge,
        ] {
            assert!(duration_ms(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn dates_are_read_with_and_without_an_offset() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-02T00:00", DAY),
            ("2024-02-29T12:00:00.250", 1_709_208_000_250),
            ("2024-02-29T14:00:00+02:00", 1_709_208_000_000),
            ("2024-02-29T05:30:00-0630", 1_709_208_000_000),
            ("2000-03-01T00:00:00Z", 951_868_800_000),
        ] {
            assert_eq!(datetime_ms(text), Ok(ms), "{text}");
        }
        for bad in [
            "2023-02-29T00:00",
            "2024-13-01T00:00",
            "2024-01-01",
            "2024-01-01T24:00",
            "2024-01-01T00:00:60",
            "2024-01-01T00:00+99",
            "2024-1-1T00:00",
            "2024-01-01T00:00Zulu",
        ] {
            assert!(datetime_ms(bad).is_err(), "{bad}");
        }
    }
}
