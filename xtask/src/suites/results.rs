//! What came of the cases: one file a suite, a column for each cluster, and the table that the page about compatibility shows of it.

use super::{Case, Suite, cases, file};
use crate::run::{read, root};
use std::fmt::Write;
use std::path::Path;

/// Who was tested: Kafka itself, for what passes there; a node; three nodes; three of Kafka's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    Kafka,
    One,
    Three,
    KafkaThree,
}

impl Column {
    /// Kafka of as many nodes.
    pub fn reference(self) -> Column {
        match self {
            Column::Kafka | Column::One => Column::Kafka,
            Column::Three | Column::KafkaThree => Column::KafkaThree,
        }
    }
}

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    Failed,
    /// The suite left it out, or a part of it.
    Skipped,
    /// It didn't end within the limit.
    OverTime,
}

const OUTCOMES: [(Outcome, &str); 4] = [
    (Outcome::Passed, "passed"),
    (Outcome::Failed, "failed"),
    (Outcome::Skipped, "skipped"),
    (Outcome::OverTime, "over-time"),
];

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (_, word) = OUTCOMES
            .iter()
            .find(|(o, _)| o == self)
            .expect("all are listed");
        f.write_str(word)
    }
}

/// All outcomes of a suite, in the order in which the cases first ran.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Results(Vec<(String, [Option<Outcome>; 4])>);

const HEAD: &str = "# Written by `cargo xtask interop suite`: case, Apache Kafka, one node, three nodes, three of Apache Kafka.\n";

impl Results {
    /// Reads the file; one that isn't there holds nothing.
    pub fn read(path: &Path) -> Result<Results, String> {
        match path.exists() {
            true => Results::parse(&read(path)?),
            false => Ok(Results::default()),
        }
    }

    pub fn parse(text: &str) -> Result<Results, String> {
        let mut all = Vec::new();
        for line in text
            .lines()
            .filter(|l| !l.starts_with('#') && !l.is_empty())
        {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [name, kafka, one, three, kafka_three] = words[..] else {
                return Err(format!("not a result: {line}"));
            };
            let outcome = |word: &str| OUTCOMES.iter().find(|(_, w)| *w == word).map(|(o, _)| *o);
            all.push((
                name.to_owned(),
                [kafka, one, three, kafka_three].map(outcome),
            ));
        }
        Ok(Results(all))
    }

    pub fn of(&self, case: &str, column: Column) -> Option<Outcome> {
        let (_, row) = self.0.iter().find(|(name, _)| name == case)?;
        row[column as usize]
    }

    pub fn set(&mut self, case: &str, column: Column, outcome: Outcome) {
        let at = self.0.iter().position(|(name, _)| name == case);
        let at = at.unwrap_or_else(|| {
            self.0.push((case.to_owned(), [None; 4]));
            self.0.len() - 1
        });
        self.0[at].1[column as usize] = Some(outcome);
    }

    pub fn write(&self, path: &Path) -> Result<(), String> {
        std::fs::write(path, self.text()).map_err(|e| format!("{}: {e}", path.display()))
    }

    pub fn text(&self) -> String {
        let mut text = HEAD.to_owned();
        for (name, row) in &self.0 {
            let word = |o: &Option<Outcome>| o.map_or("-".to_owned(), |o| o.to_string());
            let row: Vec<String> = row.iter().map(word).collect();
            let _ = writeln!(text, "{name} {}", row.join(" "));
        }
        text
    }
}

const BEGIN: &str = "<!-- suites: generated -->\n";
const END: &str = "<!-- suites: end -->\n";

/// Brings the page about compatibility up to date with the files of results.
pub(super) fn write_page(suites: &[Suite]) -> Result<(), String> {
    let path = root().join("docs/compatibility.md");
    let page = brought_up_to_date(&read(&path)?, suites)?;
    std::fs::write(&path, page).map_err(|e| format!("{}: {e}", path.display()))
}

pub(super) fn brought_up_to_date(page: &str, suites: &[Suite]) -> Result<String, String> {
    let lost = "docs/compatibility.md has lost its marks around the suites";
    let (head, rest) = page.split_once(BEGIN).ok_or(lost)?;
    let (_, tail) = rest.split_once(END).ok_or(lost)?;
    let mut text = "\n| suite | cases run | one node | three nodes | Apache Kafka 4.3.1, one node | three nodes |\n|---|---|---|---|---|---|\n".to_owned();
    let mut below = String::new();
    for suite in suites {
        let cases = cases(&read(&file(suite.name, "txt"))?);
        let results = Results::read(&file(suite.name, "results.txt"))?;
        text.push_str(&row(suite.package, &cases, &results));
        below.push_str(&exceptions(suite.package, &cases, &results));
    }
    Ok(format!("{head}{BEGIN}{text}{below}\n{END}{tail}"))
}

fn row(package: &str, cases: &[Case], results: &Results) -> String {
    let run: Vec<&Case> = cases.iter().filter(|case| case.skipped.is_none()).collect();
    let count = |column| {
        let outcomes = run.iter().filter_map(|case| results.of(&case.name, column));
        let outcomes: Vec<Outcome> = outcomes.collect();
        let passed = outcomes.iter().filter(|o| **o == Outcome::Passed).count();
        match outcomes.len() {
            0 => "not run".to_owned(),
            all => format!("{passed} of {all}"),
        }
    };
    let columns = [
        Column::One,
        Column::Three,
        Column::Kafka,
        Column::KafkaThree,
    ];
    let [one, three, kafka, kafka_three] = columns.map(count);
    format!(
        "| {package} | {} | {one} | {three} | {kafka} | {kafka_three} |\n",
        run.len()
    )
}

/// What didn't pass or wasn't run, by name.
fn exceptions(package: &str, cases: &[Case], results: &Results) -> String {
    let run = || cases.iter().filter(|case| case.skipped.is_none());
    let with = |column: Column, kafka: fn(Option<Outcome>) -> bool| -> Vec<String> {
        let such = run().filter_map(|case| {
            let outcome = results.of(&case.name, column)?;
            let short = outcome != Outcome::Passed;
            let reference = results.of(&case.name, column.reference());
            (short && kafka(reference)).then(|| format!("{} ({outcome})", case.name))
        });
        such.collect()
    };
    let mut text = format!("\n{package}:\n\n");
    let mut line = |what: &str, names: Vec<String>| {
        if !names.is_empty() {
            let _ = writeln!(text, "- {what}: {}", names.join(", "));
        }
    };
    for (nodes, column) in [("one node", Column::One), ("three nodes", Column::Three)] {
        line(
            &format!("{nodes}, passes on Kafka and not here"),
            with(column, |k| k == Some(Outcome::Passed)),
        );
        line(
            &format!("{nodes}, passes on neither"),
            with(column, |k| k.is_some_and(|k| k != Outcome::Passed)),
        );
        line(
            &format!("{nodes}, doesn't pass here, not run on Kafka"),
            with(column, |k| k.is_none()),
        );
    }
    let mut reasons: Vec<&str> = cases.iter().filter_map(|c| c.skipped.as_deref()).collect();
    reasons.dedup();
    for reason in reasons {
        let such = cases
            .iter()
            .filter(|c| c.skipped.as_deref() == Some(reason));
        let names = such.map(|c| c.name.clone()).collect();
        line(&format!("not run, {reason}"), names);
    }
    text
}
