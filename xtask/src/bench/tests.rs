use super::*;

#[test]
fn the_loads_summary_is_read_and_its_steps_are_not() {
    let printed = "\
140671 records sent, 28134.2 records/sec (27.47 MB/sec), 822.1 ms avg latency, 1333.0 ms max latency.
200000 records sent, 33687.047330 records/sec (32.90 MB/sec), 768.09 ms avg latency, 1333.00 ms max \
latency, 730 ms 50th, 1208 ms 95th, 1276 ms 99th, 1323 ms 99.9th.
";
    let rates = Rates::parse(printed).expect("a summary");
    assert_eq!((rates.records, rates.rate), (200_000.0, 33_687.047_330));
    assert_eq!(
        (rates.p50_ms, rates.p99_ms, rates.p999_ms),
        (730.0, 1276.0, 1323.0)
    );
    assert_eq!(
        Rates::parse("140671 records sent, 28134.2 records/sec (27.47 MB/sec)\n"),
        None
    );
}

#[test]
fn a_process_is_read_whatever_its_name() {
    let stat = "42 (a) b c) S 1 42 42 0 -1 4194560 900 0 1 0 150 50 0 0 20 0 9 0 100 5 6";
    let status = "Name:\ta\nVmRSS:\t   2048 kB\n";
    let io = "rchar: 5\nwrite_bytes: 4096\ncancelled_write_bytes: 0\n";
    let usage = Usage::parse(stat, status, io).expect("readable");
    assert_eq!(
        usage,
        Usage {
            cpu_s: 2.0,
            resident: 2_097_152.0,
            written: 4096.0
        }
    );
    assert!(
        Usage::of(std::process::id())
            .expect("this process")
            .resident
            > 0.0
    );
}

#[test]
fn syncs_are_added_up_over_their_labels() {
    let metrics = "# TYPE x counter\nflotilla_fdatasync_total{file=\"wal\"} 7\n\
                   flotilla_fdatasync_total{file=\"segment\"} 3\nflotilla_records_total 900\n";
    assert_eq!(process::counted_syncs(metrics), Some(10.0));
    assert_eq!(process::counted_syncs("flotilla_records_total 900\n"), None);
}

#[test]
fn medians_and_ratios_are_shown() {
    assert_eq!(report::median(vec![3.0, 1.0, 2.0]), Some(2.0));
    assert_eq!(report::median(vec![4.0, 1.0]), Some(2.5));
    assert_eq!(report::median(vec![]), None);
    let outcome = |rate: f64, syncs| Outcome {
        rates: Rates {
            records: 1e6,
            rate,
            ..Rates::default()
        },
        usage: Usage {
            cpu_s: 2.5,
            ..Usage::default()
        },
        syncs,
    };
    let pair = [outcome(2_000_000.0, Some(9.0)), outcome(1_000_000.0, None)];
    let page = report::page(&[(&ROWS[0], vec![pair])], 1, 1.0, &["a machine".into()]);
    assert!(
        page.contains("| records/s | 2,000,000 | 1,000,000 | 2.00 |"),
        "{page}"
    );
    assert!(
        page.contains("| broker CPU s per million | 2.5 | 2.5 | 1.00 |"),
        "{page}"
    );
    assert!(page.contains("| fdatasyncs | 9 | - | - |"), "{page}");
}
