//! What a node refuses to start with, and in which words.

use e2e::node::Refused;
use e2e::{Scratch, Setup, binary};
use std::fs;
use std::process::Command;

fn refused(setup: &Setup) -> Refused {
    match setup.try_start() {
        Ok(_) => panic!("the node started"),
        Err(refused) => refused,
    }
}

#[test]
fn a_second_process_on_a_directory_is_refused() {
    let scratch = Scratch::new("second");
    let setup = Setup::single(&scratch.join("data"));
    let mut first = setup.start();
    let second = refused(&setup);
    assert_eq!(second.code, Some(1), "{}", second.stderr);
    assert!(
        second.stderr.contains("data"),
        "the directory isn't named: {}",
        second.stderr
    );
    assert!(first.is_alive(), "the first one goes on");
    first.kill();
    let mut third = setup.start();
    assert_eq!(
        third.stop().code(),
        Some(0),
        "the lock dies with its process"
    );
}

#[test]
fn a_data_directory_of_kafka_is_left_alone() {
    let scratch = Scratch::new("kafkas");
    let setup = Setup::single(&scratch.join("data"));
    fs::create_dir(&setup.data).expect("a directory");
    let properties = "cluster.id=MkU3OEVBNTcwNTJENDM2Qk\nnode.id=1\nversion=1\n";
    fs::write(setup.data.join("meta.properties"), properties).expect("writable");
    let ended = refused(&setup);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("Kafka"), "{}", ended.stderr);
    let files = fs::read_dir(&setup.data).expect("a directory").count();
    assert_eq!(files, 1, "nothing is added");
}

#[test]
fn a_directory_of_a_newer_format_is_refused_by_its_version() {
    let scratch = Scratch::new("newer");
    let setup = Setup::single(&scratch.join("data"));
    setup.start().stop();
    let path = setup.data.join("FORMAT");
    let format = fs::read_to_string(&path).expect("the format is text");
    let old: String = format.chars().filter(char::is_ascii_digit).collect();
    assert!(!old.is_empty(), "no version in {format:?}");
    fs::write(&path, format.replace(&old, "77123")).expect("writable");
    let newer = refused(&setup);
    assert_eq!(newer.code, Some(1), "{}", newer.stderr);
    assert!(
        newer.stderr.contains("77123"),
        "the version isn't named: {}",
        newer.stderr
    );
    fs::write(&path, format).expect("writable");
    setup.start();
}

#[test]
fn configuration_that_cannot_be_ends_with_code_2() {
    let scratch = Scratch::new("config");
    let with = |set: &str| Setup::single(&scratch.join("data")).with(&["--set", set]);
    let unknown = refused(&with("num.partition=3"));
    assert_eq!(unknown.code, Some(2), "{}", unknown.stderr);
    assert!(
        unknown.stderr.contains("num.partitions"),
        "no nearest name: {}",
        unknown.stderr
    );
    let outside = refused(&with("num.partitions=-5"));
    assert_eq!(outside.code, Some(2), "{}", outside.stderr);
    assert!(
        outside.stderr.contains("-5"),
        "the value isn't named: {}",
        outside.stderr
    );
    let flag = Command::new(binary::flotilla())
        .args(["serve", "--bogus"])
        .output();
    assert_eq!(flag.expect("it runs").status.code(), Some(2));
}

#[test]
fn help_begins_with_what_the_program_is() {
    let help = e2e::tool::offline(&["--help"]).ok();
    let first = help.lines().next().expect("a line");
    assert!(first.contains("message queue"), "{first}");
}
