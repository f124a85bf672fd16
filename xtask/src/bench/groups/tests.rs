use super::*;
use crate::bench::cluster::Summary;

fn scratch() -> PathBuf {
    std::env::temp_dir().join(format!("bench-groups-{}.json", std::process::id()))
}

#[test]
fn what_was_measured_is_there_for_the_next_run() {
    let path = scratch();
    let case = &CASES[0];
    let mut store = Store::open(&path).expect("nothing there yet");
    assert!(store.figures(case, Side::Flotilla).is_none());
    let figures = vec![("% of a core", 2.5), ("rebalances", 0.0)];
    store.keep(case, Side::Flotilla, &figures).expect("written");
    let store = Store::open(&path).expect("readable");
    let expected = [
        ("% of a core".to_owned(), 2.5),
        ("rebalances".to_owned(), 0.0),
    ];
    assert_eq!(
        store.figures(case, Side::Flotilla).as_deref(),
        Some(&expected[..])
    );
    assert!(store.figures(case, Side::Kafka).is_none());
    let page = page::page(&store, &["a machine".to_owned()]);
    assert!(page.contains("| % of a core | 2.50 | - | - |"), "{page}");
    assert!(page.contains("Not measured."), "{page}");
    std::fs::remove_file(path).expect("it was written");
}

#[test]
fn a_load_tells_its_figures_by_name() {
    let summary = Summary("members=20 moves=0 p99_ms=1.25".to_owned());
    assert_eq!(summary.value("p99_ms"), Ok(1.25));
    assert!(summary.value("p50_ms").is_err());
}
