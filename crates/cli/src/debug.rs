//! `flotilla debug bundle`: one file with what somebody who looks for a fault needs to see. It asks
//! what a person would ask, one command after the other, and keeps the answers and the refusals.
//! Secrets stay where they are: brokers don't show them, and what looks like one in a log is
//! blotted out.

use crate::args::{Bundle, DebugCommand};
use crate::client::Trouble;
use crate::client::deadline::wall_ms;
use crate::output;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// What is asked, each by its words on the command line.
const QUESTIONS: &[&[&str]] = &[
    &["cluster", "info"],
    &["cluster", "status"],
    &["cluster", "health"],
    &["api-versions"],
    &["topic", "list", "--internal"],
    &["config", "get", "nodes"],
    &["group", "list"],
];
/// Most bytes of the end of a log.
const LOG_BYTES: u64 = 1024 * 1024;
/// Topics and groups that are looked at one by one.
const EACH_MAX: usize = 200;
/// A node that says nothing for so long has nothing to say.
const PATIENCE: Duration = Duration::from_secs(10);
/// What stands before a secret.
const SECRETS: [&str; 5] = ["password", "secret", "token", "credential", "jaas.config"];

/// Runs the command.
pub fn run(command: DebugCommand) -> Result<(), Trouble> {
    let DebugCommand::Bundle(args) = command;
    let mut answers = Vec::new();
    for question in QUESTIONS {
        answers.push(asked(&args, question)?);
    }
    for (list, name, words) in [
        ("topic list --internal", "topic", &["topic", "describe"][..]),
        ("group list", "group", &["group", "lag"]),
    ] {
        for name in names(&answers, list, name) {
            answers.push(asked(&args, &[words, &[&name]].concat())?);
        }
    }
    let nodes: Vec<String> = names(&answers, "cluster info", "node");
    for node in nodes {
        answers.push(asked(&args, &["config", "get", &format!("node/{node}")])?);
    }
    let metrics = args.http.iter().map(|address| {
        let text = page(address, "/metrics").unwrap_or_else(|e| format!("not to be had: {e}"));
        let ready = page(address, "/health/ready").unwrap_or_else(|e| e.to_string());
        json!({ "address": address, "ready": ready, "metrics": text })
    });
    let logs = args.log.iter().map(|path| {
        let text = tail(path).unwrap_or_else(|e| format!("can't be read: {e}"));
        json!({ "path": path.display().to_string(), "end": blotted(&text) })
    });
    let bundle = json!({
        "tool": env!("CARGO_PKG_VERSION"),
        "system": format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        "taken_ms": wall_ms(),
        "answers": answers,
        "nodes": metrics.collect::<Vec<_>>(),
        "logs": logs.collect::<Vec<_>>(),
    });
    let text = format!("{bundle:#}\n");
    let mut file = File::create(&args.to).map_err(|e| Trouble::Input {
        what: format!("can't write {}: {e}", args.to.display()),
    })?;
    file.write_all(text.as_bytes())?;
    output::text(&format!(
        "wrote {} ({} bytes); look at it before you send it to anybody\n",
        args.to.display(),
        text.len()
    ))
}

/// What this very program answers to a question.
fn asked(args: &Bundle, words: &[&str]) -> Result<Value, Trouble> {
    let done = std::env::current_exe().and_then(|program| {
        let seconds = args.target.timeout.as_secs_f64().to_string();
        let mut command = Command::new(program);
        command
            .args(words)
            .args(["--bootstrap", &args.target.bootstrap]);
        command.args(["--timeout", &seconds, "--output", "json"]);
        command.output()
    });
    let done = done?;
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    let answer = serde_json::from_str(&text).unwrap_or(Value::String(text));
    let complaint = String::from_utf8_lossy(&done.stderr).into_owned();
    Ok(json!({
        "question": words.join(" "),
        "code": done.status.code(),
        "answer": answer,
        "complaint": blotted(&complaint),
    }))
}

/// The names in a list that was answered, wherever in it they are.
fn names(answers: &[Value], question: &str, field: &str) -> Vec<String> {
    let mut found = Vec::new();
    let answer = answers.iter().find(|answer| answer["question"] == question);
    if let Some(answer) = answer {
        gather(&answer["answer"], field, &mut found);
    }
    found.sort();
    found.dedup();
    found.truncate(EACH_MAX);
    found
}

fn gather(value: &Value, field: &str, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| gather(item, field, found)),
        Value::Object(object) => {
            let name = object.get(field).or_else(|| object.get("name"));
            match name {
                Some(Value::String(name)) => found.push(name.clone()),
                Some(Value::Number(number)) => found.push(number.to_string()),
                _ => object
                    .values()
                    .for_each(|value| gather(value, field, found)),
            }
        }
        _ => {}
    }
}

/// A page of a node's own.
fn page(address: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let body = answer
        .split_once("\r\n\r\n")
        .map(|(_, body)| body.to_owned());
    Ok(body.unwrap_or(answer))
}

fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(LOG_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The text without what follows words that stand before secrets, to the end of their lines.
fn blotted(text: &str) -> String {
    let line = |line: &str| {
        let lower = line.to_ascii_lowercase();
        let ends = SECRETS
            .iter()
            .filter_map(|word| Some(lower.find(word)? + word.len()));
        match ends.min() {
            Some(end) => format!("{} [removed]", &line[..end]),
            None => line.to_owned(),
        }
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_secrets_name_is_removed() {
        let log = "start\nssl.keystore.Password=hunter2 and=more\nTÖKEN über token: abc\nend";
        let clean = blotted(log);
        assert_eq!(
            clean,
            "start\nssl.keystore.Password [removed]\nTÖKEN über token [removed]\nend"
        );
    }

    #[test]
    fn names_are_found_however_deep_they_are() {
        let answers = [json!({
            "question": "topic list",
            "answer": { "topics": [{ "topic": "b", "id": 1 }, { "name": "a" }] },
        })];
        assert_eq!(names(&answers, "topic list", "topic"), ["a", "b"]);
        assert!(names(&answers, "group list", "group").is_empty());
    }
}
