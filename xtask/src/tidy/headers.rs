//! Every file opens with what it is; every page with a title.

use super::{Breach, TextFile};

/// Checks the first line of every Rust file and every page.
pub fn check(files: &[TextFile]) -> Vec<Breach> {
    files
        .iter()
        .filter_map(missing)
        .map(|(path, what)| Breach::new(path, 1, what))
        .collect()
}

fn missing(file: &TextFile) -> Option<(&str, &'static str)> {
    let first = file
        .text
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    if file.path.ends_with(".rs") {
        let exempt = file.path.ends_with("/tests.rs") || file.is_generated();
        return (!exempt && !first.starts_with("//!")).then_some((
            file.path.as_str(),
            "open the file with `//!`: what it is and what it is not",
        ));
    }
    (file.path.ends_with(".md") && !first.starts_with("# "))
        .then_some((file.path.as_str(), "open the page with a `# ` title"))
}
