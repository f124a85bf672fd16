//! What is printed: tables for people, JSON for scripts. A reader that goes away is no error.

use crate::client::Trouble;
use serde_json::Value;
use std::io::Write;

/// Rows under headings, in columns as wide as their widest cell.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub fn new(headings: &[&str]) -> Table {
        Table {
            rows: vec![
                headings
                    .iter()
                    .map(|heading| heading.to_uppercase())
                    .collect(),
            ],
        }
    }

    /// Adds a row; it has as many cells as there are headings.
    pub fn row(&mut self, cells: Vec<String>) {
        assert_eq!(
            cells.len(),
            self.rows[0].len(),
            "a row has a cell under each heading"
        );
        self.rows.push(cells);
    }

    /// The table as text. Columns of numbers stand to the right.
    pub fn text(&self) -> String {
        let columns = self.rows[0].len();
        let width = |at: usize| {
            self.rows
                .iter()
                .map(|r| r[at].chars().count())
                .max()
                .unwrap_or(0)
        };
        let numeric = |at: usize| self.rows[1..].iter().all(|r| r[at].parse::<f64>().is_ok());
        let forms: Vec<(usize, bool)> = (0..columns).map(|at| (width(at), numeric(at))).collect();
        let mut text = String::new();
        for row in &self.rows {
            let cells = row.iter().zip(&forms).map(|(cell, (width, right))| {
                if *right {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:<width$}")
                }
            });
            text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

/// Prints text as it is.
pub fn text(text: &str) -> Result<(), Trouble> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Says something to who watches; if nobody can hear it there is nobody to tell.
pub fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Prints a JSON value on a line.
pub fn json(value: &Value) -> Result<(), Trouble> {
    text(&format!("{value}\n"))
}

/// `1 record`, `2 records`.
pub fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// `12 B`, `3.4 GB`: three digits are enough for people.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    match unit {
        0 => format!("{bytes} B"),
        _ if value < 9.95 => format!("{value:.1} {}", UNITS[unit]),
        _ => format!("{value:.0} {}", UNITS[unit]),
    }
}

/// Numbers in a row, as people write them.
pub fn list(numbers: &[i32]) -> String {
    let texts: Vec<String> = numbers.iter().map(i32::to_string).collect();
    if texts.is_empty() {
        "-".into()
    } else {
        texts.join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_rounded_for_people() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (999_499, "999 kB"),
        ];
        let more = [
            (999_500, "1.0 MB"),
            (12_345_678, "12 MB"),
            (9_940_000_000, "9.9 GB"),
        ];
        for (number, text) in cases.into_iter().chain(more) {
            assert_eq!(bytes(number), text);
        }
    }

    #[test]
    fn columns_line_up_and_numbers_stand_right() {
        let mut table = Table::new(&["topic", "partitions"]);
        table.row(vec!["a".into(), "3".into()]);
        table.row(vec!["longer name".into(), "12".into()]);
        let expected = "\
TOPIC        PARTITIONS
a                     3
longer name          12
";
        assert_eq!(table.text(), expected);
    }
}
