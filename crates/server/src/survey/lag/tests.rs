use super::*;

fn place(group: u64, offset: i64) -> Place {
    (GroupId(group), Offset(offset))
}

#[test]
fn no_scrape_looks_up_more_than_it_may_and_everyone_has_a_turn() {
    let mut known = Known::default();
    let places: BTreeSet<Place> = (0..2500).map(|at| place(at % 50, at as i64)).collect();
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        // Nothing of it is found: who had a turn waits for the next one all the same.
        let next = known.next(&places);
        assert_eq!(next.len(), LOOK_UPS_MAX);
        seen.extend(next);
    }
    assert_eq!(seen, places);
}

#[test]
fn what_was_looked_up_is_kept_as_long_as_a_group_waits_for_it() {
    let mut known = Known::default();
    let both = BTreeSet::from([place(1, 10), place(2, 20)]);
    assert_eq!(known.next(&both), [place(1, 10), place(2, 20)]);
    known.written.insert(place(1, 10), WallMs(5));
    assert_eq!(known.next(&both), [place(2, 20)]);
    // The group went on.
    assert_eq!(known.next(&BTreeSet::from([place(1, 11)])), [place(1, 11)]);
    assert!(known.written.is_empty());
}

#[test]
fn lag_is_told_in_records_and_in_seconds() {
    let row = |committed, lag| Row {
        group: "g",
        topic: "t",
        partition: "0".to_owned(),
        committed,
        lag,
    };
    let behind = |records, oldest| Some(Lag { records, oldest });
    let rows = [
        row(10, behind(0, None)),
        row(7, behind(3, Some(place(1, 7)))),
        row(6, behind(4, Some(place(1, 6)))),
        row(5, None),
    ];
    let mut known = Known::default();
    known.written.insert(place(1, 7), WallMs(10_000));
    let values = |family: &Family| -> Vec<f64> { family.samples.iter().map(|s| s.value).collect() };
    let [committed, records, seconds, beyond] = told(&rows, 2, &known, WallMs(12_500));
    assert_eq!(values(&committed), [10.0, 7.0, 6.0, 5.0]);
    assert_eq!(values(&records), [0.0, 3.0, 4.0]);
    // What wasn't looked up yet has no age, and not an age of zero.
    assert_eq!(values(&seconds), [0.0, 2.5]);
    assert_eq!(values(&beyond), [2.0]);
}
