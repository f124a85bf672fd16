//! How long files and functions may be. What is longer already stands in `xtask/ratchet.txt`
//! with its length, and that list only shrinks: an entry above the real length is a breach too.

use super::{Breach, TextFile};
use std::collections::BTreeMap;
use std::path::Path;

/// Lines at which a file has a second noun inside.
pub const FILE_LINES_MAX: usize = 600;
/// Lines at which a function must say why.
pub const FUNCTION_LINES_MAX: usize = 70;

const RATCHET: &str = "xtask/ratchet.txt";
const RATCHET_HEAD: &str = "\
# Files over 600 lines and functions over 70, with the length they have. Entries only shrink:
# `cargo xtask tidy --tighten` lowers and removes them. PATH LINES, or PATH FUNCTION LINES.
";

/// What is known to be too long: (path, function or nothing) -> lines.
#[derive(Default)]
pub struct Ratchet(BTreeMap<(String, String), usize>);

impl Ratchet {
    /// Reads the list; a missing file is an empty list.
    pub fn load(root: &Path) -> Result<Ratchet, String> {
        Ratchet::parse(&std::fs::read_to_string(root.join(RATCHET)).unwrap_or_default())
    }

    /// Reads the list's text.
    pub fn parse(text: &str) -> Result<Ratchet, String> {
        let mut known = BTreeMap::new();
        for line in text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
        {
            let words: Vec<&str> = line.split(' ').collect();
            let (path, function, lines) = match words[..] {
                [path, lines] => (path, "", lines),
                [path, function, lines] => (path, function, lines),
                _ => return Err(format!("{RATCHET}: can't read {line:?}")),
            };
            let lines = lines
                .parse()
                .map_err(|_| format!("{RATCHET}: {line:?} has no length"))?;
            known.insert((path.to_owned(), function.to_owned()), lines);
        }
        Ok(Ratchet(known))
    }

    fn text(&self) -> String {
        let mut text = RATCHET_HEAD.to_owned();
        for ((path, function), lines) in &self.0 {
            let gap = if function.is_empty() { "" } else { " " };
            text.push_str(&format!("{path}{gap}{function} {lines}\n"));
        }
        text
    }
}

/// Every length above its bound.
fn too_long(files: &[TextFile]) -> BTreeMap<(String, String), (usize, usize)> {
    let mut long = BTreeMap::new();
    for file in files.iter().filter(|file| !file.is_generated()) {
        let Some(source) = &file.source else { continue };
        let lines = file.text.lines().count();
        if lines > FILE_LINES_MAX {
            long.insert((file.path.clone(), String::new()), (lines, 0));
        }
        // A test may be a long table of cases; what ships may not.
        let shipped = if file.test {
            Vec::new()
        } else {
            source.functions()
        };
        for function in shipped {
            if function.lines > FUNCTION_LINES_MAX {
                let key = (file.path.clone(), function.name);
                long.insert(key, (function.lines, function.line));
            }
        }
    }
    long
}

/// Checks every Rust file that isn't generated.
pub fn check(files: &[TextFile], ratchet: &Ratchet) -> Vec<Breach> {
    let long = too_long(files);
    let mut breaches = Vec::new();
    for ((path, function), (lines, line)) in &long {
        let allowed = ratchet.0.get(&(path.clone(), function.clone()));
        if allowed.is_some_and(|allowed| lines <= allowed) {
            continue;
        }
        let message = if function.is_empty() {
            format!(
                "{lines} lines (at most {FILE_LINES_MAX}): move the second noun to its own file"
            )
        } else {
            format!(
                "`{function}` has {lines} lines (at most {FUNCTION_LINES_MAX}): split it by step"
            )
        };
        breaches.push(Breach::new(path, *line, message));
    }
    for ((path, function), allowed) in &ratchet.0 {
        let real = long
            .get(&(path.clone(), function.clone()))
            .map_or(0, |(lines, _)| *lines);
        if real < *allowed {
            let message =
                format!("`{path} {function}` is shorter now; run `cargo xtask tidy --tighten`");
            breaches.push(Breach::new(RATCHET, 0, message));
        }
    }
    breaches
}

/// Lowers and removes entries; adds none.
pub fn tighten(root: &Path, files: &[TextFile]) -> Result<(), String> {
    let long = too_long(files);
    let mut ratchet = Ratchet::load(root)?;
    ratchet.0.retain(|key, allowed| match long.get(key) {
        Some((lines, _)) => {
            *allowed = (*allowed).min(*lines);
            true
        }
        None => false,
    });
    std::fs::write(root.join(RATCHET), ratchet.text()).map_err(|e| format!("{RATCHET}: {e}"))
}
