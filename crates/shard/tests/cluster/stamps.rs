//! When batches were written, asked of any replica.

use super::*;
use shard::Stamp;

fn stamps(c: &mut Cluster, node: u32, group: GroupId, at: i64) -> Option<Stamp> {
    let places = vec![(group, Offset(at))];
    match c.call(node, Command::Stamps { places }) {
        Reply::Stamps(mut stamps) => stamps.remove(0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn any_replica_tells_when_a_batch_was_written_and_nothing_of_what_is_not_there() {
    let mut c = Cluster::new(3);
    c.run(Duration::from_secs(2));
    let group = c.create_topic(1);
    c.run(Duration::from_secs(1));
    let leader = c.leader(group).expect("a leader");
    for (sequence, written) in [(0, 700), (1, 900)] {
        let mut batch = Builder::new(written).producer(ProducerId(1), 0, sequence);
        batch.push(written, None, Some(b"x"), &[]);
        c.append(leader, group, batch.build()).unwrap();
    }
    c.run(Duration::from_secs(1));
    for node in 1..=3 {
        for (at, written) in [(-1, 700), (0, 700), (1, 900)] {
            let stamp = stamps(&mut c, node, group, at);
            assert!(
                matches!(stamp, Some(Stamp::Known(ms)) if ms == WallMs(written)),
                "node {node} offset {at}: {stamp:?}"
            );
        }
        assert!(stamps(&mut c, node, group, 2).is_none(), "the end");
        assert!(stamps(&mut c, node, GroupId(999), 0).is_none());
    }
}
