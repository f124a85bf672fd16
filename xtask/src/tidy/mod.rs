//! `cargo xtask tidy`: the house rules that a compiler can't check. One rule a file; each names
//! what is wrong, where, and what to do instead, and each has a test in which it fails.

mod floors;
mod headers;
mod links;
mod modules;
mod sizes;
mod source;
mod words;

use source::Source;
use std::path::{Path, PathBuf};

/// A breach of a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Breach {
    /// Path from the root.
    pub path: String,
    /// Line from 1; 0 for the whole file.
    pub line: usize,
    /// What is wrong and what to do instead.
    pub message: String,
}

impl Breach {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Breach {
        Breach {
            path: path.into(),
            line,
            message: message.into(),
        }
    }
}

/// A text file of the checkout.
pub struct TextFile {
    /// Path from the root, with forward slashes.
    pub path: String,
    /// All of it.
    pub text: String,
    /// Its code, if it is Rust.
    pub source: Option<Source>,
    /// True for code that never ships.
    pub test: bool,
}

impl TextFile {
    fn new(path: &str, text: &str) -> TextFile {
        let source = path.ends_with(".rs").then(|| Source::of(text));
        let test = path.ends_with("/tests.rs") || path.contains("/tests/");
        TextFile {
            path: path.into(),
            text: text.into(),
            source,
            test,
        }
    }

    fn is_generated(&self) -> bool {
        self.path.contains("/generated/")
    }
}

/// Runs every rule over the checkout. `--tighten` rewrites the ratchet where it can shrink.
pub fn run(args: &[String]) -> Result<(), String> {
    crate::run::only_flags(args, &[], &["--tighten"])?;
    let root = crate::run::root();
    let mut files = text_files(&root)?;
    modules::mark_tests(&mut files);
    if args.iter().any(|arg| arg == "--tighten") {
        sizes::tighten(&root, &files)?;
    }
    let ratchet = sizes::Ratchet::load(&root)?;
    let mut breaches = floors::check(&crate::run::metadata(false)?)?;
    breaches.extend(words::check(&files));
    breaches.extend(sizes::check(&files, &ratchet));
    breaches.extend(headers::check(&files));
    breaches.extend(modules::check(&files));
    breaches.extend(links::check(&files, &|path| root.join(path).exists()));
    breaches.sort();
    for breach in &breaches {
        eprintln!("{}:{}: {}", breach.path, breach.line, breach.message);
    }
    if !breaches.is_empty() {
        return Err(format!("{} breaches of the house rules", breaches.len()));
    }
    println!("tidy: {} files, no breach", files.len());
    Ok(())
}

const SKIPPED: &[&str] = &["target", ".git", "flotilla-data", "node_modules"];
const TEXT: &[&str] = &[
    "rs", "md", "toml", "sh", "yml", "yaml", "json", "txt", "java", "py", "go", "js",
];

fn text_files(root: &Path) -> Result<Vec<TextFile>, String> {
    let mut files = Vec::new();
    let mut open: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        let entries =
            std::fs::read_dir(&directory).map_err(|e| format!("{}: {e}", directory.display()))?;
        for entry in entries {
            let path = entry.map_err(|e| e.to_string())?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() {
                if !SKIPPED.contains(&name.as_str()) {
                    open.push(path);
                }
            } else if is_text(&path, root) {
                let text = std::fs::read_to_string(&path)
                    .map_err(|e| format!("{}: {e}", path.display()))?;
                files.push(TextFile::new(&shown(&path, root), &text));
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn is_text(path: &Path, root: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str());
    extension.is_some_and(|e| TEXT.contains(&e)) || path == root.join(".ci/run")
}

fn shown(path: &Path, root: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .to_string_lossy()
        .replace('\\', "/")
}

#[cfg(test)]
mod tests;
