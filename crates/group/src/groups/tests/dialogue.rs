//! Dialogues: each file of `testdata/dialogues` is played, and must come out as it is written.
//! To write the outcome of a new one, run with `DIALOGUES=write` and read what came.

use super::script;
use super::world::World;
use crate::{Config, Decision};
use std::fmt::Write;
use std::path::Path;

fn tell(out: &mut String, world: &World, decision: &Decision) {
    for record in &decision.records {
        writeln!(out, "  {}", script::record(&world.topics, record)).unwrap();
    }
    for (caller, reply) in &decision.replies {
        writeln!(out, "  {caller} {}", script::reply(&world.topics, reply)).unwrap();
    }
}

/// Plays a dialogue; the text as it should be.
fn play(text: &str) -> String {
    let mut world = World::new(Config::default());
    let mut out = String::new();
    for line in text.lines().filter(|line| !line.starts_with(' ')) {
        writeln!(out, "{line}").unwrap();
        let (mark, rest) = line.split_at(line.len().min(1));
        match mark {
            ">" => {
                let (caller, rest) = rest.trim().split_once(' ').expect("a caller");
                let caller = caller.parse().expect("callers are numbers");
                let command = script::command(&world.topics, rest);
                let decision = world.ask(caller, command);
                tell(&mut out, &world, &decision);
            }
            "@" => {
                for (at, decision) in world.wait(rest.trim().parse().expect("milliseconds")) {
                    let mut came = String::new();
                    tell(&mut came, &world, &decision);
                    if !came.is_empty() {
                        write!(out, " at {at}\n{came}").unwrap();
                    }
                }
            }
            "%" => script::configure(&mut world, rest),
            "!" => world.fail_over(),
            "+" => script::make_topic(&mut world.topics, rest),
            "-" => world.topics.remove(rest.trim()),
            "#" | "" => {}
            _ => panic!("{line:?} is no line of a dialogue"),
        }
    }
    out
}

#[test]
fn dialogues_come_out_as_they_are_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/dialogues");
    let write = std::env::var("DIALOGUES").is_ok_and(|word| word == "write");
    let mut played = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let outcome = play(&text);
        if write {
            std::fs::write(&path, &outcome).unwrap();
        } else {
            for (at, (ours, theirs)) in outcome.lines().zip(text.lines()).enumerate() {
                assert_eq!(ours, theirs, "{} line {}", path.display(), at + 1);
            }
            assert_eq!(outcome, text, "{}", path.display());
        }
        played += 1;
    }
    assert!(played > 0);
}
