//! Links between pages resolve, headings included.

use super::{Breach, TextFile};

/// Checks every relative link of every page. `exists` tells whether a path from the root is there.
pub fn check(files: &[TextFile], exists: &dyn Fn(&str) -> bool) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for page in files.iter().filter(|file| file.path.ends_with(".md")) {
        for (line, target) in links(&page.text) {
            if let Some(problem) = broken(page, target, files, exists) {
                breaches.push(Breach::new(&page.path, line, problem));
            }
        }
    }
    breaches
}

/// Line and target of each `](target)` outside fenced code.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for (at, _) in line.match_indices("](") {
            let rest = &line[at + 2..];
            if let Some(end) = rest.find(')') {
                found.push((number + 1, &rest[..end]));
            }
        }
    }
    found
}

fn broken(
    page: &TextFile,
    target: &str,
    files: &[TextFile],
    exists: &dyn Fn(&str) -> bool,
) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() {
        page.path.clone()
    } else {
        resolve(&page.path, file)
    };
    if !exists(&path) {
        return Some(format!(
            "the link to {target:?} leads nowhere: there is no {path}"
        ));
    }
    let linked = files.iter().find(|f| f.path == path);
    let known = heading.is_empty()
        || linked.is_none_or(|f| f.text.lines().filter_map(anchor).any(|a| a == heading));
    (!known).then(|| format!("the link to {target:?} leads nowhere: {path} has no such heading"))
}

/// `target` as seen from the folder of `page`.
fn resolve(page: &str, target: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The anchor of a heading line, as forges make it.
fn anchor(line: &str) -> Option<String> {
    let title = line.strip_prefix('#')?.trim_start_matches('#').trim();
    let kept = title
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    Some(
        kept.map(|c| {
            if c == ' ' {
                '-'
            } else {
                c.to_ascii_lowercase()
            }
        })
        .collect(),
    )
}
