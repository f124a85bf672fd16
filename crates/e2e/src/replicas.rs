//! Compares the replicas of stopped nodes, file by file: the same bytes in every directory.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What differs between the partitions' segments of these data directories; empty if nothing.
pub fn differences(directories: &[PathBuf]) -> Vec<String> {
    let logs: Vec<BTreeMap<String, Vec<u8>>> = directories.iter().map(|d| groups(d)).collect();
    let mut problems = Vec::new();
    for (name, bytes) in &logs[0] {
        for (directory, others) in directories.iter().zip(&logs).skip(1) {
            match others.get(name) {
                None => problems.push(format!("{} has no group {name}", directory.display())),
                Some(other) if other != bytes => {
                    let at = bytes.iter().zip(other).take_while(|(a, b)| a == b).count();
                    let (ours, theirs) = (bytes.len(), other.len());
                    let node = directory.file_name().unwrap_or_default().to_string_lossy();
                    problems.push(format!(
                        "group {name} of {node} differs at byte {at} (of {ours} in the first, {theirs} here)"
                    ));
                }
                Some(_) => {}
            }
        }
    }
    if logs.iter().all(BTreeMap::is_empty) {
        problems.push("no directory has a group".into());
    }
    problems
}

/// Each group's segments joined, the room kept at the end left out.
fn groups(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut groups = BTreeMap::new();
    for group in entries(&directory.join("groups")) {
        let mut segments: Vec<PathBuf> = entries(&group);
        segments.retain(|path| path.extension().is_some_and(|e| e == "log"));
        segments.sort();
        let mut bytes = Vec::new();
        for segment in segments {
            let mut read = fs::read(&segment).unwrap_or_default();
            let kept = read
                .iter()
                .rposition(|byte| *byte != 0)
                .map_or(0, |last| last + 1);
            read.truncate(kept);
            bytes.extend(read);
        }
        let name = group
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        groups.insert(name, bytes);
    }
    groups
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scratch;

    #[test]
    fn a_byte_that_differs_is_found_and_room_at_the_end_is_not() {
        let scratch = Scratch::new("replicas");
        let write = |node: &str, bytes: &[u8]| {
            let folder = scratch.join(node).join("groups/1");
            fs::create_dir_all(&folder).expect("a folder");
            fs::write(folder.join("00000000000000000000.log"), bytes).expect("a file");
        };
        let nodes = ["a", "b"].map(|node| scratch.join(node));
        assert_eq!(differences(&nodes), ["no directory has a group"]);
        write("a", b"batch\0\0");
        write("b", b"batch");
        assert_eq!(differences(&nodes), Vec::<String>::new());
        write("b", b"bitch");
        assert_eq!(
            differences(&nodes),
            ["group 1 of b differs at byte 1 (of 5 in the first, 5 here)"]
        );
    }
}
