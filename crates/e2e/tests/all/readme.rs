//! The README's commands, as a newcomer types them.

use e2e::{Scratch, Setup, Tool, binary};
use std::fs;
use std::process::Command;

/// The lines of the README's fenced blocks of this language.
fn blocks(language: &str) -> Vec<String> {
    let readme = fs::read_to_string(binary::checkout().join("README.md")).expect("a README");
    let mut found = Vec::new();
    let mut inside = false;
    for line in readme.lines() {
        if line.starts_with("```") {
            inside = line.trim_start_matches('`') == language;
        } else if inside {
            found.push(line.to_owned());
        }
    }
    found
}

#[test]
fn the_two_commands_are_there_and_mean_something() {
    let commands = blocks("sh");
    for command in ["cargo run --release -- serve", "cargo test"] {
        assert!(
            commands.iter().any(|line| line == command),
            "{command} is not in the README"
        );
    }
}

/// Every `flotilla ...` line is run by a shell, in order, against a node on a free port.
#[test]
fn the_tour_works_as_written() {
    let tour: Vec<String> = blocks("sh")
        .into_iter()
        .filter(|line| line.contains("flotilla "))
        .collect();
    assert!(tour.len() >= 4, "the README has no tour: {tour:?}");
    let scratch = Scratch::new("readme");
    let node = Setup::single(&scratch.join("data")).start();
    let here = scratch.join("here");
    fs::create_dir_all(&here).expect("a directory");
    let folder = binary::flotilla().parent().expect("it lies in a folder");
    for line in tour.iter().filter(|line| !line.contains("flotilla serve")) {
        // The README's node listens on the default port; this one on a free one.
        let line = line.replace("flotilla ", "$FLOTILLA ");
        let (command, arguments) = line.split_once("$FLOTILLA ").expect("it was put there");
        let (own, piped) = arguments.split_once(" | ").unwrap_or((arguments, ""));
        let rest = if piped.is_empty() {
            String::new()
        } else {
            format!(" | {piped}")
        };
        let script = format!("{command}flotilla {own} --bootstrap {}{rest}", node.kafka);
        let path = format!(
            "{}:{}",
            folder.display(),
            std::env::var("PATH").unwrap_or_default()
        );
        let output = Command::new("sh")
            .args(["-ec", &script])
            .env("PATH", path)
            .current_dir(&here)
            .output();
        let output = output.expect("a shell");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {errors}");
    }
    // What the tour wrote is there.
    let topics = Tool::new(&node.kafka).run(&["topic", "list"]).ok();
    assert!(topics.contains("orders"), "{topics}");
}
