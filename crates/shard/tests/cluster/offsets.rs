//! Where segments begin, as ListOffsets asked before there were timestamps in records.

use super::*;
use shard::{OffsetAnswer, OffsetPart, OffsetQuery};

fn segments(c: &mut Cluster, node: u32, group: GroupId, until: i64, most: usize) -> Vec<i64> {
    let part = OffsetPart {
        group,
        query: OffsetQuery::Segments { until, most },
        leader_epoch: None,
    };
    match c.call(node, Command::Offsets { parts: vec![part] }) {
        Reply::Offsets(mut parts) => match parts.remove(0) {
            Ok(OffsetAnswer::Segments(begins)) => begins.into_iter().map(|at| at.0).collect(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn segments_are_told_newest_first_as_old_as_is_asked_for() {
    let (mut c, leader, group) = five_segments(&[]);
    let mut late = Builder::new(900).producer(ProducerId(1), 0, 5);
    late.push(900, None, Some(b"x"), &[]);
    c.append(leader, group, late.build()).unwrap();
    let mut ask = |until, most| segments(&mut c, leader, group, until, most);
    assert_eq!(ask(i64::MAX, 9), [6, 5, 4, 3, 2, 1, 0]);
    assert_eq!(ask(i64::MAX, 3), [6, 5, 4]);
    assert_eq!(ask(900, 9), [5, 4, 3, 2, 1, 0], "the end is of now");
    assert_eq!(ask(899, 2), [4, 3]);
    assert_eq!(ask(4, 9), []);
    assert_eq!(ask(i64::MAX, 0), []);
    c.delete(leader, group, Some(2)).unwrap();
    assert_eq!(segments(&mut c, leader, group, 899, 9), [4, 3, 2]);
}
