//! `cargo xtask interop diff`: the same requests, valid and broken, in every version that both serve, to a node and to Apache
//! Kafka, compared by the kind of answer and the error codes in it. The requests stand in `interop/diff/requests.json`; `Diff.java`
//! builds them with Kafka's own message classes. What differs on purpose stands in `reasons.txt`, with why; anything else is an error,
//! and so is a reason that nothing needs any more.

use crate::run::{self, checked, flag, only_flags, read, root};
use crate::server::Target;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the node is configured with, as the Kafka it is compared with.
const NODE: [&str; 6] = [
    "--rack",
    "RACK1",
    "--set",
    "num.partitions=4",
    "--set",
    "group.initial.rebalance.delay.ms=0",
];

/// Why some disagreements are meant so.
#[derive(Debug, PartialEq, Eq)]
struct Reason {
    why: String,
    /// It depends on how fast the two are: a run may do without it.
    may_rest: bool,
    /// Parts of words, in this order, that the disagreement has when written as one line.
    marks: Vec<String>,
}

/// What one request was answered with by the two.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Disagreement {
    request: String,
    ours: String,
    kafkas: String,
}

/// Runs the subcommand.
pub fn run(args: &[String]) -> Result<(), String> {
    let valued = ["--kafka", "--bootstrap", "--binary", "--jars", "--only"];
    only_flags(args, &valued, &[])?;
    let here = root().join("interop/diff");
    let cache = run::target_directory()?.join("interop/diff");
    std::fs::create_dir_all(&cache).map_err(|e| format!("{}: {e}", cache.display()))?;
    let kafka: String = flag(args, "--kafka")?.ok_or(
        "usage: cargo xtask interop diff --kafka HOST:PORT [--only API,..]; Kafka should be fresh",
    )?;
    let jars = match flag::<String>(args, "--jars")? {
        Some(jars) => jars,
        None => crate::tools::fetch(&root().join("interop/tools"), &tools_cache()?)?,
    };
    let target = Target::of(args, &cache.join("data"), 1, &NODE)?;
    let only: Option<String> = flag(args, "--only")?;
    let told = said(
        &here,
        &cache,
        &jars,
        [&target.bootstrap, &kafka],
        only.as_deref(),
    );
    target.release()?;
    let reasons = reasons(&read(&here.join("reasons.txt"))?);
    let (told, whole) = (told?, only.is_none());
    let kept = cache.join("told.txt");
    std::fs::write(&kept, &told).map_err(|e| format!("{}: {e}", kept.display()))?;
    judge(&told, &reasons, whole)
}

fn tools_cache() -> Result<PathBuf, String> {
    let cache = run::target_directory()?.join("interop/tools");
    std::fs::create_dir_all(&cache).map_err(|e| format!("{}: {e}", cache.display()))?;
    Ok(cache)
}

/// Lets the program run; what it says about its progress passes through.
fn said(
    here: &Path,
    cache: &Path,
    jars: &str,
    [ours, kafka]: [&str; 2],
    only: Option<&str>,
) -> Result<String, String> {
    let classes = cache.join("classes");
    let mut compile = Command::new("javac");
    compile.args(["-nowarn", "-Xlint:none", "-cp", &format!("{jars}/*"), "-d"]);
    checked(compile.arg(&classes).arg(here.join("Diff.java")))?;
    let path = format!("{}:{jars}/*", classes.display());
    let mut java = Command::new("java");
    java.args([
        "-Xmx400m",
        "-XX:+UseSerialGC",
        "-cp",
        &path,
        "Diff",
        ours,
        kafka,
    ]);
    java.arg(here.join("requests.json")).args(only);
    let output = java.stderr(Stdio::inherit()).output();
    let output = output.map_err(|e| format!("java: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // What was found before something broke is worth reading.
    match output.status.success() {
        true => Ok(text),
        false => Err(format!("{text}\nDiff.java ended with {}", output.status)),
    }
}

/// `# why` and below it lines of marks; a line's marks are separated by ` .. `. Under `#? why` a run may need none of them.
fn reasons(text: &str) -> Vec<Reason> {
    let (mut why, mut may_rest) = (String::new(), false);
    let mut reasons = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.strip_prefix('#') {
            Some(new) => {
                may_rest = new.starts_with('?');
                new.trim_start_matches('?').trim().clone_into(&mut why);
            }
            None => reasons.push(Reason {
                why: why.clone(),
                may_rest,
                marks: line.split(" .. ").map(str::to_owned).collect(),
            }),
        }
    }
    reasons
}

/// Reads what the program wrote: a line about the request, then one of each answer.
fn disagreements(told: &str) -> Vec<Disagreement> {
    let lines: Vec<&str> = told.lines().collect();
    let answer = |line: &str, who: &str| line.trim().strip_prefix(who).map(|a| a.trim().to_owned());
    let three = lines.windows(3).filter_map(|three| {
        Some(Disagreement {
            request: three[0].to_owned(),
            ours: answer(three[1], "ours:")?,
            kafkas: answer(three[2], "kafka:")?,
        })
    });
    three.collect()
}

fn is_meant(reason: &Reason, disagreement: &Disagreement) -> bool {
    let Disagreement {
        request,
        ours,
        kafkas,
    } = disagreement;
    let line = format!("{request} | ours {ours} | kafka {kafkas}");
    let mut rest = line.as_str();
    reason
        .marks
        .iter()
        .all(|mark| match rest.find(mark.as_str()) {
            Some(at) => {
                rest = &rest[at + mark.len()..];
                true
            }
            None => false,
        })
}

/// Says what there is a reason for, and fails for the rest. After a whole run reasons that were for nothing fail, too: they
/// would hide the next fault that looks like them.
fn judge(told: &str, reasons: &[Reason], whole: bool) -> Result<(), String> {
    let all = disagreements(told);
    let mut counts = vec![0; reasons.len()];
    let mut unexplained = Vec::new();
    for one in &all {
        match reasons.iter().position(|reason| is_meant(reason, one)) {
            Some(at) => counts[at] += 1,
            None => unexplained.push(format!(
                "{}\n  ours  {}\n  kafka {}",
                one.request, one.ours, one.kafkas
            )),
        }
    }
    report(reasons, &counts);
    for line in told.lines().filter(|line| line.starts_with(['=', '#'])) {
        println!("diff: {}", line[1..].trim());
    }
    println!(
        "diff: {} kinds of request, {} without a reason",
        all.len(),
        unexplained.len()
    );
    let unused = reasons.iter().zip(&counts);
    let unused = unused.filter(|(reason, count)| whole && **count == 0 && !reason.may_rest);
    let unused: Vec<String> = unused.map(|(r, _)| r.marks.join(" .. ")).collect();
    let mut wrong = Vec::new();
    for (what, kinds) in [
        ("no reason for", unexplained),
        ("reasons for nothing:", unused),
    ] {
        if !kinds.is_empty() {
            wrong.push(format!("{what}\n{}", kinds.join("\n")));
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong.join("\n")),
    }
}

/// How many kinds each reason explains, whatever number of lines it has.
fn report(reasons: &[Reason], counts: &[usize]) {
    let mut whys: Vec<&str> = reasons.iter().map(|reason| reason.why.as_str()).collect();
    whys.dedup();
    for why in whys {
        let of_it = reasons.iter().zip(counts).filter(|(r, _)| r.why == why);
        let count: usize = of_it.map(|(_, c)| c).sum();
        println!("{count:5} {why}");
    }
}

#[cfg(test)]
mod tests;
