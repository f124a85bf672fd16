//! Words that may not be used, where, and what to use instead.

use super::{Breach, TextFile};

/// Where a word is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum In {
    /// Code that ships: no comments, literals or tests.
    Shipped,
    /// All code, tests included.
    Code,
    /// Every text file, prose included.
    Text,
}

struct Ban {
    /// The word; a `::` path matches grouped imports too.
    word: &'static str,
    place: In,
    /// Path prefixes it applies to; empty for all.
    only: &'static [&'static str],
    /// Path prefixes where it is right.
    except: &'static [&'static str],
    instead: &'static str,
}

impl Ban {
    const fn new(word: &'static str, place: In, instead: &'static str) -> Ban {
        Ban {
            word,
            place,
            only: &[],
            except: &[],
            instead,
        }
    }

    const fn except(mut self, paths: &'static [&'static str]) -> Ban {
        self.except = paths;
        self
    }

    const fn only(mut self, paths: &'static [&'static str]) -> Ban {
        self.only = paths;
        self
    }
}

const EDGE: &[&str] = &["crates/os/", "crates/server/", "crates/serve-http/"];
const WORLD: &[&str] = &[
    "crates/os/",
    "crates/server/",
    "crates/cli/",
    "crates/sim/src/bin/",
    "crates/sim/src/runner",
    "crates/e2e/",
    "crates/group/benches/",
    "xtask/",
];
const DECIDERS: &[&str] = &[
    "crates/base/",
    "crates/consensus/",
    "crates/group/",
    "crates/meta/",
    "crates/log/",
    "crates/shard/",
    "crates/broker/",
    "crates/serve-kafka/",
];
/// Where the process ends and waits for its threads.
const STOPPING: &[&str] = &["crates/server/src/serve.rs"];
const SYNC: &str = "be a sync step machine; sockets, timers and tasks belong to `server`";
const CLOCK: &str = "take `base::Now` as an argument; the clock is `os::clock`";
const CHANCE: &str = "take a `base::Random` or a seed as an argument; entropy is `os`'s";
const THREADS: &str = "return a job or an effect; threads belong to `server`";
const DISK: &str = "take a `base::Disk`; the real one is `os`'s";
const HASHED: &str =
    "use `BTreeMap` or a fixed-seed `foldhash`: the order must be the same in every run";
const LATER: &str = "do it now or write an issue";
const MACHINE: &str = "name a path relative to the checkout";

// Words of the last kind are put together, so that this table doesn't contain them.
const BANS: &[Ban] = &[
    Ban::new("tokio::net", In::Shipped, SYNC).except(EDGE),
    Ban::new("tokio::time", In::Shipped, SYNC).except(EDGE),
    Ban::new("tokio::spawn", In::Shipped, SYNC).except(EDGE),
    Ban::new("tokio::select", In::Shipped, SYNC).except(EDGE),
    Ban::new(
        "tokio::fs",
        In::Code,
        "use the storage or reader threads over `base::Disk`",
    ),
    Ban::new(
        "spawn_blocking",
        In::Code,
        "use the reader pool: a blocking hop costs 3x on fetch",
    )
    .except(STOPPING),
    Ban::new("std::time::Instant", In::Shipped, CLOCK).except(WORLD),
    Ban::new("std::time::SystemTime", In::Shipped, CLOCK).except(WORLD),
    Ban::new("Instant::now", In::Shipped, CLOCK).except(WORLD),
    Ban::new("SystemTime::now", In::Shipped, CLOCK).except(WORLD),
    Ban::new("std::thread", In::Shipped, THREADS).except(WORLD),
    Ban::new("std::fs", In::Shipped, DISK).except(WORLD),
    Ban::new("std::collections::HashMap", In::Shipped, HASHED).only(DECIDERS),
    Ban::new("std::collections::HashSet", In::Shipped, HASHED).only(DECIDERS),
    Ban::new("thread_rng", In::Code, CHANCE),
    Ban::new("rand::random", In::Code, CHANCE),
    Ban::new("getrandom", In::Code, CHANCE).except(&["crates/os/"]),
    Ban::new("todo!", In::Code, LATER),
    Ban::new("unimplemented!", In::Code, LATER),
    Ban::new("dbg!", In::Code, "use a test or `tracing`"),
    Ban::new(
        ".unwrap()",
        In::Shipped,
        "return an error, or `expect` with the reason why it holds",
    ),
    Ban::new(concat!("FIX", "ME"), In::Text, LATER),
    Ban::new(concat!("TO", "DO"), In::Text, LATER),
    Ban::new(concat!("XX", "X"), In::Text, LATER),
    Ban::new(concat!("/wo", "rk/"), In::Text, MACHINE),
    Ban::new(concat!("/ro", "ot/"), In::Text, MACHINE),
    Ban::new(concat!("/ho", "me/"), In::Text, MACHINE),
];

const FILE_NAMES: &[&str] = &[
    "utils", "util", "helpers", "helper", "common", "misc", "manager",
];

/// Checks every file.
pub fn check(files: &[TextFile]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for file in files {
        breaches.extend(file_name(file));
        for ban in BANS.iter().filter(|ban| applies(ban, file)) {
            breaches.extend(uses(ban, file));
        }
    }
    breaches
}

fn applies(ban: &Ban, file: &TextFile) -> bool {
    let starts = |paths: &[&str]| paths.iter().any(|path| file.path.starts_with(path));
    let shipped_only = ban.place == In::Shipped;
    !(shipped_only && (file.test || file.is_generated()))
        && (ban.only.is_empty() || starts(ban.only))
        && !starts(ban.except)
}

fn file_name(file: &TextFile) -> Option<Breach> {
    let stem = file.path.rsplit('/').next()?.split('.').next()?;
    let parts: Vec<&str> = file.path.split('/').collect();
    let bad = FILE_NAMES.contains(&stem) || parts.iter().any(|part| FILE_NAMES.contains(part));
    bad.then(|| {
        Breach::new(
            &file.path,
            0,
            "the name says nothing; name the file after its noun",
        )
    })
}

fn uses(ban: &Ban, file: &TextFile) -> Vec<Breach> {
    let text = match (ban.place, &file.source) {
        (In::Text, _) => file.text.as_str(),
        (In::Code, Some(source)) => source.code.as_str(),
        (In::Shipped, Some(source)) => source.shipped.as_str(),
        (_, None) => return Vec::new(),
    };
    let mut at: Vec<usize> = positions(text, ban.word);
    if let Some((prefix, name)) = ban.word.rsplit_once("::") {
        at.extend(grouped(text, prefix, name));
    }
    at.sort_unstable();
    let line = |at: usize| 1 + text[..at].matches('\n').count();
    let message = format!("`{}` is banned here: {}", ban.word, ban.instead);
    at.into_iter()
        .map(|at| Breach::new(&file.path, line(at), message.clone()))
        .collect()
}

/// Where the word stands by itself.
fn positions(text: &str, word: &str) -> Vec<usize> {
    let inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let bounded = word.starts_with(char::is_alphanumeric);
    let ends_open = word.ends_with(char::is_alphanumeric);
    text.match_indices(word)
        .map(|(at, _)| at)
        .filter(|at| !(bounded && inside(text[..*at].chars().next_back())))
        .filter(|at| !(ends_open && inside(text[at + word.len()..].chars().next())))
        .collect()
}

/// Where `name` is one of the direct names of `prefix::{...}`.
fn grouped(text: &str, prefix: &str, name: &str) -> Vec<usize> {
    let open = format!("{prefix}::{{");
    let mut found = Vec::new();
    for start in positions(text, &open) {
        let body = &text[start + open.len()..];
        let mut depth = 0;
        let mut item_start = true;
        for (at, c) in body.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => item_start = true,
                c if c.is_whitespace() => {}
                _ if item_start && depth == 0 => {
                    item_start = false;
                    let word: String = body[at..]
                        .chars()
                        .take_while(|c| c.is_alphanumeric() || *c == '_')
                        .collect();
                    if word == name {
                        found.push(start + open.len() + at);
                    }
                }
                _ => {}
            }
        }
    }
    found
}
