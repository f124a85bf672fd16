use super::*;
use crate::history::{Ack, FOREIGN, number, value};
use crate::wait;

fn ack(first: u64, records: u32, base_offset: i64) -> Ack {
    Ack {
        first,
        records,
        base_offset,
        at: wait::now(),
    }
}

/// Four records in partition 0, two acknowledged batches.
fn sound() -> History {
    let acks = vec![ack(0, 2, 0), ack(2, 2, -1)];
    let last: Vec<Seen> = (0..4).map(|n| (n as i64, n)).collect();
    History {
        written: BTreeMap::from([(
            0,
            Written {
                acks,
                attempted: 4,
                trouble: None,
            },
        )]),
        live: BTreeMap::from([(0, last[..3].to_vec())]),
        last: BTreeMap::from([(0, last)]),
    }
}

#[test]
fn a_sound_history_passes_and_each_damage_is_seen() {
    assert_eq!(problems(&sound()), Vec::<String>::new());
    type Damage = fn(&mut Vec<Seen>);
    let damages: [(&str, Damage); 6] = [
        ("acknowledged record lost at the end", |log| log.truncate(3)),
        ("record replaced", |log| log[1].1 = FOREIGN),
        ("record twice", |log| log.push((4, 3))),
        ("hole in the offsets", |log| {
            log.iter_mut().skip(2).for_each(|seen| seen.0 += 1)
        }),
        ("two exchanged", |log| {
            let second = log[1].1;
            log[1].1 = std::mem::replace(&mut log[2].1, second);
        }),
        ("record nobody wrote", |log| log.push((4, 4))),
    ];
    for (name, damage) in damages {
        let mut history = sound();
        damage(history.last.get_mut(&0).expect("partition 0"));
        assert!(!problems(&history).is_empty(), "{name} is not seen");
    }
}

#[test]
fn what_a_reader_saw_and_is_gone_is_seen() {
    let mut history = sound();
    history.live.get_mut(&0).expect("partition 0").push((3, 7));
    assert_eq!(problems(&history).len(), 1);
}

#[test]
fn the_gap_is_the_one_around_the_fault() {
    let start = wait::now();
    let at = |ms: u64| start + Duration::from_millis(ms);
    let acks = [0, 500, 510, 900, 910].map(|ms| Ack {
        at: at(ms),
        ..ack(0, 1, 0)
    });
    let written = Written {
        acks: acks.to_vec(),
        attempted: 5,
        trouble: None,
    };
    assert_eq!(
        longest_gap(&written, at(505), at(2000)),
        Duration::from_millis(390)
    );
    assert_eq!(
        longest_gap(&written, at(100), at(200)),
        Duration::from_millis(500)
    );
    let times = [5, 1, 3].map(Duration::from_millis);
    assert_eq!(
        median_and_max(&times),
        (Duration::from_millis(3), Duration::from_millis(5))
    );
}

#[test]
fn a_value_is_known_to_the_last_byte() {
    for n in [0, 7, 89, 90, 1_000_000_007] {
        assert_eq!(number(3, value(3, n).as_bytes()), n);
        assert_eq!(
            number(2, value(3, n).as_bytes()),
            FOREIGN,
            "another partition's"
        );
    }
    let damaged = value(3, 50).replace("xx", "xy");
    assert_eq!(number(3, damaged.as_bytes()), FOREIGN);
    assert_eq!(number(3, b"\xff-\xff"), FOREIGN);
}
