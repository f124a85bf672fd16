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
        rates.latency,
        Some(load::Latency {
            p50_ms: 730.0,
            p99_ms: 1276.0,
            p999_ms: 1323.0
        })
    );
    assert_eq!(
        Rates::parse("140671 records sent, 28134.2 records/sec (27.47 MB/sec)\n"),
        None
    );
}

#[test]
fn a_consumers_line_is_read_by_its_headings() {
    let printed = "\
start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, \
rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec
2026-11-21 16:00:00:001, 2026-11-21 16:00:04:001, 976.5625, 244.1, 1000000, 250000.0, 3200, 800, \
1220.7, 1250000.0
";
    let rates = Rates::parse_consumer(printed).expect("a line");
    assert_eq!((rates.records, rates.rate), (1e6, 1_250_000.0));
    assert_eq!(rates.latency, None);
    assert_eq!(Rates::parse_consumer("start.time, end.time\n"), None);
}

#[test]
fn our_own_client_speaks_like_the_producer() {
    let printed =
        "2000 records sent, 3640.9 records/sec, 0.106 ms 50th, 5.016 ms 99th, 28.383 ms 99.9th.\n";
    let rates = Rates::parse(printed).expect("a summary");
    assert_eq!((rates.records, rates.rate), (2000.0, 3640.9));
    assert_eq!(rates.latency.map(|l| l.p50_ms), Some(0.106));
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
    let pair = vec![outcome(2_000_000.0, Some(9.0)), outcome(1_000_000.0, None)];
    let three = [pair.clone(), vec![outcome(4_000_000.0, None)]].concat();
    let rounds = |rounds: Vec<Vec<Outcome>>| {
        let count = rounds.len();
        report::page(&[(&ROWS[0], rounds)], 1, count, 1.0, &["a machine".into()])
    };
    let page = |round| rounds(vec![round]);
    assert!(rounds(vec![pair.clone(), pair.clone()]).contains("| median | Flotilla"));
    let with_ceiling = page(three);
    assert!(
        with_ceiling.contains("| records/s | 2,000,000 | 1,000,000 | 2.00 | 4,000,000 | 0.50 |"),
        "{with_ceiling}"
    );
    let page = page(pair);
    assert!(page.contains("| one round | Flotilla"), "{page}");
    assert!(!page.contains("p50"), "no run has it: {page}");
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
