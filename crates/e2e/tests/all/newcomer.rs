//! A newcomer's ten minutes: start, write, read, kill -9, start again, everything is there.

use e2e::{Scratch, Setup, Tool, http, wait};

fn lines(from: usize, to: usize) -> Vec<String> {
    (from..to)
        .map(|n| format!("line {n} {}", "x".repeat(n % 50)))
        .collect()
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

#[test]
fn what_was_acknowledged_survives_kill_and_stop() {
    let scratch = Scratch::new("newcomer");
    let setup = Setup::single(&scratch.join("data"));
    let mut node = setup.start();
    let tool = Tool::new(&node.kafka);
    tool.create("orders", &["--partitions", "3"]);
    tool.produce("orders", &lines(0, 3000));
    node.kill();

    let mut node = setup.start();
    let tool = Tool::new(&node.kafka);
    assert_eq!(
        sorted(tool.consume("orders")),
        sorted(lines(0, 3000)),
        "after kill -9"
    );
    tool.produce("orders", &lines(3000, 4000));
    assert_eq!(node.stop().code(), Some(0), "SIGTERM ends it in good order");

    let mut node = setup.start();
    let tool = Tool::new(&node.kafka);
    assert_eq!(
        sorted(tool.consume("orders")),
        sorted(lines(0, 4000)),
        "after a stop"
    );
    assert_eq!(node.stop().code(), Some(0));
}

#[test]
fn a_key_keeps_its_records_in_order() {
    let scratch = Scratch::new("keys");
    let node = Setup::single(&scratch.join("data")).start();
    let tool = Tool::new(&node.kafka);
    tool.create("keyed", &["--partitions", "4"]);
    let pairs: String = (0..400).map(|n| format!("key-{}={n}\n", n % 7)).collect();
    tool.run_with(
        &pairs,
        &[
            "produce",
            "keyed",
            "--key-separator",
            "=",
            "--compression",
            "zstd",
        ],
    )
    .ok();
    let read = tool.run(&["consume", "keyed", "--key-separator", "="]).ok();
    assert_eq!(read.lines().count(), 400);
    for key in 0..7 {
        let of_key = format!("key-{key}=");
        let values = read.lines().filter_map(|line| line.strip_prefix(&of_key));
        let numbers: Vec<u32> = values
            .map(|value| value.parse().expect("a number"))
            .collect();
        assert!(numbers.is_sorted(), "key-{key}: {numbers:?}");
    }
    let few = tool
        .run(&["consume", "keyed", "-n", "5", "--output", "json"])
        .ok();
    assert_eq!(few.lines().count(), 5);
}

#[test]
fn topics_are_made_listed_described_and_deleted() {
    let scratch = Scratch::new("topics");
    let node = Setup::single(&scratch.join("data")).start();
    let tool = Tool::new(&node.kafka);
    tool.create(
        "a",
        &["--partitions", "2", "--config", "retention.ms=60000"],
    );
    let again = tool.run(&["topic", "create", "a"]).failed(1);
    assert!(
        again.contains("TOPIC_ALREADY_EXISTS") && again.contains("try:"),
        "{again}"
    );
    tool.create("a", &["--if-not-exists"]);
    assert!(tool.run(&["topic", "list"]).ok().contains("a "));
    tool.produce("a", &lines(0, 10));
    let described = tool
        .run(&["topic", "describe", "a", "--output", "json"])
        .ok();
    let described: serde_json::Value = serde_json::from_str(&described).expect("JSON");
    let partitions = described["partitions"].as_array().expect("partitions");
    let records: i64 = partitions
        .iter()
        .map(|p| p["end"].as_i64().expect("an offset"))
        .sum();
    assert_eq!((partitions.len(), records), (2, 10), "{described}");
    assert_eq!(
        described["settings"]["retention.ms"], "60000",
        "{described}"
    );
    tool.run(&["topic", "delete", "a"]).ok();
    let gone = tool.run(&["consume", "a"]).failed(1);
    assert!(gone.contains("UNKNOWN_TOPIC_OR_PARTITION"), "{gone}");
}

#[test]
fn health_and_metrics_answer() {
    let scratch = Scratch::new("health");
    let node = Setup::single(&scratch.join("data")).start();
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(
            http::get(&node.http, path).expect("an answer").0,
            200,
            "{path}"
        );
    }
    let tool = Tool::new(&node.kafka);
    tool.create("t", &[]);
    let syncs =
        || http::figure(&node.http, "flotilla_syncs_total ").expect("counted from the start");
    let before = syncs();
    tool.produce("t", &lines(0, 10));
    assert!(syncs() > before, "a write was acknowledged without a sync");
    let consumed = tool.run(&["consume", "t", "--group", "g", "--count", "6"]);
    assert_eq!(consumed.ok().lines().count(), 6);
    for (start, value) in [
        ("flotilla_partition_high_watermark{topic=\"t\"", 10.0),
        ("flotilla_group_committed_offset{group=\"g\"", 6.0),
        ("flotilla_group_lag_records{group=\"g\"", 4.0),
        ("flotilla_under_replicated_partitions ", 0.0),
    ] {
        wait::until(start, || {
            (http::figure(&node.http, start) == Some(value)).then_some(())
        });
    }
    wait::until("the time of the Produce", || {
        let times = "flotilla_request_seconds_count{api=\"Produce\"";
        http::figure(&node.http, times).filter(|count| *count > 0.0)
    });
}
