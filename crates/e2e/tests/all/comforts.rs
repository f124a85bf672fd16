//! What makes the tool comfortable: choosing where to begin and what to see, records as JSON,
//! a pace, completions, a bundle for who looks for a fault.

use e2e::{Scratch, Setup, Tool, http, tool, wait};
use serde_json::Value;

/// A node with a topic of one partition, in which records have times of their own.
fn filled(scratch: &Scratch) -> (e2e::Node, Tool) {
    let setup =
        Setup::single(&scratch.join("data")).with(&["--set", "group.initial.rebalance.delay.ms=0"]);
    let node = setup.start();
    let tool = Tool::new(&node.kafka);
    tool.create("orders", &["--partitions", "1"]);
    let lines: String = (0..10)
        .map(|n| {
            let (key, even) = (n % 3, n % 2 == 0);
            let stamp = 1_000_000_000_000i64 + n * 60_000;
            format!(
                "{{\"key\":\"k{key}\",\"value\":\"v{n}\",\"timestamp\":{stamp},\"headers\":{{\"even\":\"{even}\"}}}}\n"
            )
        })
        .collect();
    // One batch each, so that each has its own time.
    tool.run_with(
        &lines,
        &["produce", "orders", "--json", "--batch-bytes", "1"],
    )
    .ok();
    (node, tool)
}

fn consume(tool: &Tool, args: &[&str]) -> Vec<String> {
    let text = tool.run(&[&["consume", "orders"], args].concat()).ok();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_reader_begins_where_it_is_told_and_shows_what_it_is_asked_for() {
    let scratch = Scratch::new("comforts");
    let (node, tool) = filled(&scratch);
    let from = |place: &str| consume(&tool, &["--from", place]);
    assert_eq!(from("8"), ["v8", "v9"]);
    // 2001-09-09T01:46:40Z is the first record's time.
    assert_eq!(from("2001-09-09T01:53:40Z"), ["v7", "v8", "v9"]);
    assert_eq!(from("2001-09-09T01:53:41Z"), ["v8", "v9"]);
    assert_eq!(from("1h"), [""; 0], "they are much older");
    assert_eq!(from("latest"), [""; 0]);
    assert_eq!(consume(&tool, &["--last", "2"]), ["v8", "v9"]);
    assert_eq!(consume(&tool, &["--last", "200"]).len(), 10);
    let filtered = ["--key", "k0", "--header", "even=true"];
    assert_eq!(consume(&tool, &filtered), ["v0", "v6"]);
    let first = [&filtered[..], &["-n", "1"]].concat();
    assert_eq!(consume(&tool, &first), ["v0"]);
    assert_eq!(
        consume(&tool, &["-n", "2", "--format", "hex"])[1],
        "6b31\t7631"
    );
    assert_eq!(
        consume(&tool, &["--format", "raw"]),
        ["v0v1v2v3v4v5v6v7v8v9"]
    );
    // A group passes over what isn't shown, too.
    assert_eq!(
        consume(&tool, &["--group", "g", "--key", "k1"]),
        ["v1", "v4", "v7"]
    );
    assert_eq!(consume(&tool, &["--group", "g"]), [""; 0]);
    assert_eq!(
        consume(
            &tool,
            &["--group", "late", "--from", "2001-09-09T01:54:40Z"]
        ),
        ["v8", "v9"]
    );
    let wrong = tool
        .run(&["consume", "orders", "--from", "yesterday"])
        .failed(2);
    assert!(wrong.contains("2026-01-31T12:00:00Z"), "{wrong}");
    drop(node);
}

#[test]
fn who_is_interrupted_while_producing_says_what_is_in_the_log() {
    let scratch = Scratch::new("interrupted");
    let (node, tool) = filled(&scratch);
    let stopped = tool.interrupted("typed\ntoo\n", &["produce", "orders"], || {
        let arrived = || (consume(&tool, &["--from", "10"]) == ["typed", "too"]).then_some(());
        wait::patiently("what was typed", arrived).expect("it goes out when typing pauses");
    });
    let told = stopped.failed(1);
    assert!(told.contains("produced 2 records to orders"), "{told}");
    assert!(told.contains("before the end of the input"), "{told}");
    drop(node);
}

#[test]
fn what_is_consumed_as_json_can_be_produced_again() {
    let scratch = Scratch::new("copies");
    let (node, tool) = filled(&scratch);
    tool.create("copy", &["--partitions", "1"]);
    let all = tool.run(&["consume", "orders", "--output", "json"]).ok();
    tool.run_with(&all, &["produce", "copy", "--json", "--rate", "1000"])
        .ok();
    let copied = tool.run(&["consume", "copy", "--output", "json"]).ok();
    assert_eq!(copied.replace("\"copy\"", "\"orders\""), all);
    let refused = tool
        .run_with("{\"kye\":1}\n", &["produce", "copy", "--json"])
        .failed(1);
    assert!(
        refused.contains("kye") && refused.contains("known: key"),
        "{refused}"
    );
    drop(node);
}

#[test]
fn lag_is_measured_in_records_and_in_time() {
    let scratch = Scratch::new("lags");
    let (node, tool) = filled(&scratch);
    assert_eq!(consume(&tool, &["--group", "g", "-n", "7"]).len(), 7);
    let value = |name: &str| {
        let start = format!("{name}{{group=\"g\",topic=\"orders\",partition=\"0\"}} ");
        http::figure(&node.http, &start)
    };
    for (name, records) in [
        ("flotilla_group_committed_offset", 7.0),
        ("flotilla_group_lag_records", 3.0),
    ] {
        wait::until(name, || (value(name) == Some(records)).then_some(()));
    }
    // The seventh record was written in 2001; how old it is then lies between two looks at the clock.
    let age = || (cli::client::deadline::wall_ms() - 1_000_000_420_000) as f64 / 1000.0;
    let before = age();
    let told = wait::until("an age", || value("flotilla_group_lag_seconds"));
    assert!(
        (before..=age()).contains(&told),
        "{told}, at first {before}"
    );
    drop(node);
}

#[test]
fn every_shell_is_given_its_completions() {
    for (shell, word) in [
        ("bash", "complete"),
        ("zsh", "#compdef"),
        ("fish", "complete -c"),
    ] {
        let text = tool::offline(&["completions", shell]).ok();
        assert!(
            text.contains(word) && text.contains("reset-offsets"),
            "{shell}"
        );
    }
    tool::offline(&["completions", "cmd"]).failed(2);
}

#[test]
fn a_bundle_holds_state_metrics_and_the_ends_of_logs_without_secrets() {
    let scratch = Scratch::new("bundle");
    let (node, tool) = filled(&scratch);
    let log = scratch.join("node.log");
    std::fs::write(&log, "started\nssl.key.password=hunter2\n").expect("written");
    let (to, log) = (scratch.join("bundle.json"), log.display().to_string());
    let path = to.display().to_string();
    let words = [
        "debug", "bundle", "--to", &path, "--http", &node.http, "--log", &log,
    ];
    let said = tool.run(&words).ok();
    assert!(said.contains(&path), "{said}");
    let text = std::fs::read_to_string(&to).expect("it was written");
    assert!(!text.contains("hunter2"));
    let bundle: Value = serde_json::from_str(&text).expect("JSON");
    let answers = bundle["answers"].as_array().expect("answers");
    for question in [
        "cluster info",
        "cluster health",
        "topic describe orders",
        "config get node/1",
    ] {
        let answer = answers.iter().find(|answer| answer["question"] == question);
        let answer = answer.unwrap_or_else(|| panic!("no {question}"));
        assert_eq!(answer["code"], 0, "{answer}");
    }
    let metrics = bundle["nodes"][0]["metrics"].as_str().expect("text");
    assert!(metrics.contains("flotilla_ready 1"));
    drop(node);
}
