use super::results::brought_up_to_date;
use super::*;

#[test]
fn a_reason_holds_up_to_the_next_empty_line() {
    let cases = cases("# head\na\n\n#- not yet\nb\nc\n\nd\n");
    let skipped: Vec<Option<&str>> = cases.iter().map(|c| c.skipped.as_deref()).collect();
    assert_eq!(skipped, [None, Some("not yet"), Some("not yet"), None]);
}

#[test]
fn what_was_found_is_read_back_as_it_was_written() {
    let mut results = Results::default();
    results.set("a", Column::One, Outcome::Passed);
    results.set("b", Column::Kafka, Outcome::OverTime);
    results.set("a", Column::Three, Outcome::Skipped);
    assert_eq!(Results::parse(&results.text()).as_ref(), Ok(&results));
    assert_eq!(results.of("a", Column::Kafka), None);
    assert_eq!(results.of("b", Column::Kafka), Some(Outcome::OverTime));
}

#[test]
fn a_part_that_go_skipped_is_no_pass() {
    let whole =
        "--- PASS: TestPing (0.0s)\n--- PASS: TestA (1s)\n    --- PASS: TestA/classic (1s)\n";
    assert_eq!(kgo::judge("TestA", whole), Outcome::Passed);
    assert_eq!(kgo::judge("TestA/chaos", whole), Outcome::Passed);
    let part = "--- PASS: TestA (1s)\n    --- SKIP: TestA/848 (0s)\n";
    assert_eq!(kgo::judge("TestA", part), Outcome::Skipped);
    assert_eq!(kgo::judge("TestB", whole), Outcome::Failed);
    assert_eq!(
        kgo::judge("TestA", "--- FAIL: TestA (1s)\n"),
        Outcome::Failed
    );
}

#[test]
fn a_summary_without_the_test_is_no_pass() {
    let row = |verdict: &str| {
        format!("| 0022_consume_batch                | \x1b[32m {verdict} \x1b[0m | 3.1s |\n")
    };
    assert_eq!(librdkafka::judge("0022", &row("PASSED")), Outcome::Passed);
    assert_eq!(
        librdkafka::judge("0022/consumer", &row("FAILED")),
        Outcome::Failed
    );
    assert_eq!(librdkafka::judge("0022", &row("SKIPPED")), Outcome::Skipped);
    assert_eq!(librdkafka::judge("0023", &row("PASSED")), Outcome::Failed);
    let both = row("PASSED") + &row("FAILED");
    assert_eq!(librdkafka::judge("0022", &both), Outcome::Failed);
}

#[test]
fn pytest_passes_by_its_own_report_only() {
    let report = "PASSED test/integration/test_a.py::test_x\nFAILED test/integration/test_a.py::test_y - why\n";
    assert_eq!(
        kafka_python::judge("test_a.py::test_x", report),
        Outcome::Passed
    );
    assert_eq!(
        kafka_python::judge("test_a.py::test_y", report),
        Outcome::Failed
    );
    let skip = "SKIPPED [1] test/integration/test_a.py:3: old\n";
    assert_eq!(
        kafka_python::judge("test_a.py::test_z", skip),
        Outcome::Skipped
    );
}

#[test]
fn the_page_shows_the_results_that_are_kept() {
    let page = std::fs::read_to_string(root().join("docs/compatibility.md")).expect("the page");
    let fresh = brought_up_to_date(&page, SUITES).expect("its marks");
    assert_eq!(
        page, fresh,
        "run `cargo xtask interop suite` again, or undo what was changed by hand"
    );
}

#[test]
fn a_second_run_of_a_suite_is_refused_until_the_first_one_ends() {
    let cache = std::env::temp_dir().join(format!("flotilla-suite-lock-{}", std::process::id()));
    std::fs::create_dir_all(&cache).expect("a directory");
    let first = alone(&cache).expect("nobody is there");
    assert!(alone(&cache).unwrap_err().contains("another run"));
    drop(first);
    assert!(alone(&cache).is_ok());
    let _ = std::fs::remove_dir_all(&cache);
}
