//! `cargo xtask interop tools`: Kafka's own command line tools against a running node, compared
//! with what they printed against real Kafka 4.3.1. Cases and recorded results stand in
//! `interop/tools`; what differs on purpose is named there with the reason. With `--nodes 3` the
//! cases are those that take a cluster of three.

use crate::run::{self, checked, flag, only_flags, read, root};
use crate::server::Target;
use std::path::Path;
use std::process::{Command, Stdio};

/// What the recorded node was configured with.
const NODE: [&str; 4] = ["--rack", "RACK1", "--set", "min.insync.replicas=1"];
/// And each of the three; they have racks of their own.
const THREE: [&str; 2] = ["--set", "min.insync.replicas=2"];

/// Words before what is drawn at random, or follows from the length of the metadata's log. The
/// last one is the directory's id of a node in the quorum.
const DRAWN: [&str; 6] = [
    "TopicId:",
    "ID:",
    "ClusterId:",
    "Epoch:",
    "HighWatermark:",
    "AAAAAAAAAAAAAAAAAAAAAA",
];

/// A case of the file.
#[derive(Debug, PartialEq, Eq)]
struct Case {
    line: String,
    /// Why it is not run.
    skipped: Option<String>,
    /// Why it prints something else.
    differs: Option<String>,
}

/// What a tool did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Outcome {
    line: String,
    printed: Vec<String>,
    code: String,
}

/// Runs the subcommand. `--record` needs the address of a real Kafka.
pub fn run(args: &[String]) -> Result<(), String> {
    let flags = ["--bootstrap", "--binary", "--jars", "--nodes"];
    only_flags(args, &flags, &["--record"])?;
    let nodes = flag(args, "--nodes")?.unwrap_or(1);
    let (suffix, how) = match nodes {
        1 => ("", &NODE[..]),
        _ => ("-3", &THREE[..]),
    };
    let here = root().join("interop/tools");
    let cases = cases(&read(&here.join(format!("cases{suffix}.txt")))?);
    let cache = run::target_directory()?.join("interop/tools");
    std::fs::create_dir_all(&cache).map_err(|e| format!("{}: {e}", cache.display()))?;
    let jars = match flag::<String>(args, "--jars")? {
        Some(jars) => absolute(&jars)?,
        None => fetch(&here, &cache)?,
    };
    let record = args.iter().any(|arg| arg == "--record");
    if record && flag::<String>(args, "--bootstrap")?.is_none() {
        return Err("usage: --record needs --bootstrap of a real Kafka".into());
    }
    let target = Target::of(args, &cache.join("data"), nodes, how)?;
    let bootstrap = &target.bootstrap;
    let outcomes = outcomes(&tools(&here, &jars, bootstrap, &cases)?, bootstrap);
    target.release()?;
    let expected = here.join(format!("expected{suffix}.txt"));
    if record {
        let text: String = outcomes.iter().map(written).collect();
        return std::fs::write(&expected, text).map_err(|e| format!("{}: {e}", expected.display()));
    }
    compare(&cases, &self::outcomes(&read(&expected)?, ""), &outcomes)
}

fn absolute(path: &str) -> Result<String, String> {
    let path = std::path::absolute(path).map_err(|e| format!("{path}: {e}"))?;
    Ok(path.display().to_string())
}

fn cases(text: &str) -> Vec<Case> {
    let (mut skipped, mut differs) = (None, None);
    let mut cases = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(why) = line.strip_prefix("#-") {
            skipped = Some(why.trim().to_owned());
        } else if let Some(why) = line.strip_prefix("#~") {
            differs = Some(why.trim().to_owned());
        } else if !line.is_empty() && !line.starts_with('#') {
            cases.push(Case {
                line: line.to_owned(),
                skipped: skipped.take(),
                differs: differs.take(),
            });
        }
    }
    cases
}

/// Kafka's own jars, fetched once.
pub fn fetch(here: &Path, cache: &Path) -> Result<String, String> {
    let (jars, done) = (cache.join("jars"), cache.join("complete"));
    if !done.exists() {
        let mut fetch = Command::new("mvn");
        fetch.args(["-q", "-B", "-f"]).arg(here.join("pom.xml"));
        fetch.arg("dependency:copy-dependencies");
        checked(fetch.arg(format!("-DoutputDirectory={}", jars.display())))?;
        std::fs::write(&done, "").map_err(|e| format!("{}: {e}", done.display()))?;
    }
    Ok(jars.display().to_string())
}

/// Runs all cases in one Java process.
fn tools(here: &Path, jars: &str, bootstrap: &str, cases: &[Case]) -> Result<String, String> {
    let mut child = Command::new("java")
        .args(["-Xmx400m", "-XX:+UseSerialGC", "-cp", &format!("{jars}/*")])
        .arg("Tools.java")
        .arg(bootstrap)
        // Cases name files that lie there.
        .current_dir(here)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| format!("java: {e}"))?;
    let lines = cases.iter().filter(|case| case.skipped.is_none());
    let input: String = lines.map(|case| format!("{}\n", case.line)).collect();
    let mut stdin = child.stdin.take().expect("it is piped");
    // A few kilobytes: they fit the pipe whatever the tools do meanwhile.
    std::io::Write::write_all(&mut stdin, input.as_bytes()).map_err(|e| format!("java: {e}"))?;
    drop(stdin);
    let output = child.wait_with_output().map_err(|e| format!("java: {e}"))?;
    if !output.status.success() {
        return Err(format!("Tools.java ended with {}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Reads what Tools.java wrote, without what is never the same twice.
fn outcomes(text: &str, bootstrap: &str) -> Vec<Outcome> {
    let mut all = Vec::new();
    let mut current = Outcome::default();
    for line in text.lines() {
        if let Some(case) = line.strip_prefix("$ ") {
            current = Outcome {
                line: case.to_owned(),
                ..Outcome::default()
            };
        } else if let Some(code) = line.strip_prefix("= ") {
            current.code = code.to_owned();
            all.push(std::mem::take(&mut current));
        } else if !is_trace(line) {
            current.printed.push(plain(line, bootstrap));
        }
    }
    all
}

/// Lines that say where in a tool something happened.
fn is_trace(line: &str) -> bool {
    let deep = line.starts_with('\t') && line.trim_start().starts_with("at ");
    deep || line.starts_with("Caused by:") || line.trim_start().starts_with("... ")
}

fn plain(line: &str, bootstrap: &str) -> String {
    let mut line = line.to_owned();
    let ports = bootstrap
        .split(',')
        .filter_map(|address| address.rsplit_once(':'));
    for (at, (_, port)) in ports.enumerate() {
        if at == 0 {
            line = line.replace(bootstrap, "ADDRESS");
        }
        line = line.replace(port, "PORT");
    }
    let words = line.split_whitespace().collect::<Vec<_>>();
    let mut out: Vec<String> = Vec::new();
    for word in words {
        let before = out.last().map(String::as_str);
        let word = match before {
            Some(before) if DRAWN.contains(&before) => "DRAWN".to_owned(),
            _ => numbers(word),
        };
        out.push(word);
    }
    let line = without(&out.join(" "), "\"logDir\":\"", '"');
    without(&line, "\"log_dirs\":[\"/", ']')
}

/// A line without the directories that stand between `open` and `close`.
fn without(line: &str, open: &str, close: char) -> String {
    let mut parts = line.split(open);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.split_once(close).map_or("", |(_, rest)| rest);
        out.push_str(&format!("{open}DIRECTORY{close}{rest}"));
    }
    out
}

/// A word without what is drawn or told by a clock: 13 digits are milliseconds; 36 hexadecimal digits and dashes, or 22 digits
/// of base 64, are an id.
fn numbers(word: &str) -> String {
    let bytes = word.as_bytes();
    let base_64 = |b: &u8| b.is_ascii_alphanumeric() || b"-_".contains(b);
    let mixed =
        bytes.iter().any(u8::is_ascii_uppercase) && bytes.iter().any(u8::is_ascii_lowercase);
    if bytes.len() == 22 && mixed && bytes.iter().all(base_64) {
        return "DRAWN".to_owned();
    }
    let mut out = String::new();
    let mut at = 0;
    while at < word.len() {
        let run = |is: fn(&u8) -> bool| bytes[at..].iter().take_while(|b| is(b)).count();
        let digits = run(u8::is_ascii_digit);
        let id = run(|b| b.is_ascii_hexdigit() || *b == b'-');
        let dashes = bytes[at..at + id].iter().filter(|b| **b == b'-').count();
        let step = match (digits, id, dashes) {
            (_, 36, 4) => 36,
            (13, ..) => 13,
            _ => digits.max(word[at..].chars().next().map_or(1, char::len_utf8)),
        };
        match step {
            36 => out.push_str("DRAWN"),
            13 => out.push_str("TIME"),
            _ => out.push_str(&word[at..at + step]),
        }
        at += step;
    }
    out
}

fn written(outcome: &Outcome) -> String {
    let printed: String = outcome.printed.iter().map(|l| format!("{l}\n")).collect();
    format!("$ {}\n{printed}= {}\n", outcome.line, outcome.code)
}

/// Lines that print nothing: members of groups come and go, what a tool is to read.
fn is_step(case: &Case) -> bool {
    ["wait ", "join ", "leave ", "say "]
        .iter()
        .any(|step| case.line.starts_with(step))
}

fn compare(cases: &[Case], expected: &[Outcome], found: &[Outcome]) -> Result<(), String> {
    let of = |all: &[Outcome], case: &Case, nth: usize| {
        all.iter().filter(|o| o.line == case.line).nth(nth).cloned()
    };
    let (mut same, mut differ, mut skipped, mut wrong) = (0, 0, 0, Vec::new());
    for (at, case) in cases.iter().enumerate().filter(|(_, case)| !is_step(case)) {
        if let Some(why) = &case.skipped {
            println!("skipped: {}\n  {why}", case.line);
            skipped += 1;
            continue;
        }
        let before = &cases[..at];
        let nth = before.iter().filter(|c| c.line == case.line).count();
        let ours = of(found, case, nth).ok_or(format!("not run: {}", case.line))?;
        let theirs = of(expected, case, nth);
        let theirs = theirs.ok_or(format!("not recorded: {}", case.line))?;
        if sorted(&ours) == sorted(&theirs) {
            same += 1;
        } else if let (Some(why), true) = (&case.differs, ours.code == theirs.code) {
            println!("differs: {}\n  {why}", case.line);
            differ += 1;
        } else {
            wrong.push(difference(&theirs, &ours));
        }
    }
    println!(
        "tools: {same} as Kafka, {differ} differ for a reason, {skipped} skipped, {} wrong",
        wrong.len()
    );
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong.join("\n")),
    }
}

/// The tools keep groups and partitions in tables without an order, so lines come in any.
fn sorted(outcome: &Outcome) -> Outcome {
    let mut sorted = outcome.clone();
    sorted.printed.sort();
    sorted
}

fn difference(theirs: &Outcome, ours: &Outcome) -> String {
    let lines = |outcome: &Outcome, sign: &str, other: &Outcome| -> String {
        let new = outcome.printed.iter();
        let new = new.filter(|line| !other.printed.contains(line));
        new.map(|line| format!("  {sign} {line}\n")).collect()
    };
    format!(
        "{}\n{}{}  code {} instead of {}",
        ours.line,
        lines(theirs, "-", ours),
        lines(ours, "+", theirs),
        ours.code,
        theirs.code
    )
}

#[cfg(test)]
mod tests;
