//! What a node refuses to start with, and in which words.

use e2e::node::Refused;
use e2e::{Scratch, Setup, Tool, binary};
use std::fs;
use std::path::PathBuf;
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

/// A binary that runs the node under a limit of the shell's.
fn limited(scratch: &Scratch, limit: &str) -> PathBuf {
    let path = scratch.join("limited");
    let node = binary::flotilla();
    let script = format!(
        "#!/bin/sh\nulimit {limit}\nexec '{}' \"$@\"\n",
        node.display()
    );
    // By a process of its own: what is open for writing here may be so in a child that another test has just
    // forked, and can't be run then.
    let wrote = Command::new("sh")
        .args(["-c", "printf %s \"$1\" > \"$2\" && chmod 755 \"$2\"", "sh"])
        .args([script.as_ref(), path.as_os_str()])
        .status();
    assert!(wrote.expect("a shell").success());
    path
}

#[test]
fn a_node_that_may_open_too_few_files_says_how_many_it_needs() {
    let scratch = Scratch::new("descriptors");
    for limit in ["-n 10", "-n 700"] {
        let mut setup = Setup::single(&scratch.join("data"));
        setup.binary = Some(limited(&scratch, limit));
        let ended = refused(&setup);
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        let line = ended.stderr.lines().last().unwrap_or_default();
        assert!(
            line.contains("768") && line.contains("ulimit -Hn"),
            "{line}"
        );
        assert!(!setup.data.exists(), "nothing is touched");
    }
}

#[test]
fn a_limit_of_the_size_of_files_is_told_and_ends_the_node_as_a_disk_fault_does() {
    let scratch = Scratch::new("filesize");
    let mut setup = Setup::single(&scratch.join("data"));
    // 1 MiB, less than a file of the write-ahead log.
    setup.binary = Some(limited(&scratch, "-f 2048"));
    let ended = refused(&setup);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("ulimit -f"), "{}", ended.stderr);
    // 6 MiB: room for the write-ahead log, not for a segment.
    let scratch = Scratch::new("filesize2");
    let mut setup = Setup::single(&scratch.join("data")).with(&["--set", "wal.file.bytes=4194304"]);
    setup.binary = Some(limited(&scratch, "-f 12288"));
    let mut node = setup.start();
    let tool = Tool::new(&node.kafka);
    assert_eq!(tool.run(&["topic", "create", "t"]).code, Some(0));
    let lines = format!("{}\n", "x".repeat(1000)).repeat(10_000);
    let file = scratch.join("lines");
    fs::write(&file, lines).expect("writable");
    let produce = [
        "produce",
        "t",
        "--file",
        &file.to_string_lossy(),
        "--timeout",
        "5",
    ];
    let produced = tool.run(&produce);
    assert_eq!(node.wait_end().code(), Some(1), "{produced:?}");
    let log = fs::read_to_string(setup.log()).expect("a log");
    assert!(
        log.contains("File too large") && log.contains("ulimit -f"),
        "{log}"
    );
    setup.binary = None;
    let mut node = setup.start();
    let tool = Tool::new(&node.kafka);
    assert_eq!(
        tool.run(&["topic", "describe", "t"]).code,
        Some(0),
        "it goes on without the limit"
    );
    node.kill();
}
