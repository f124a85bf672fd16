//! Leaders go back to the replicas that are named first.

use super::*;

/// A node that comes back gets its place back when it is in sync, and then nothing moves any more; not
/// while it is cordoned, and not for a share that is allowed.
#[test]
fn leaders_go_back_by_themselves_and_then_rest() {
    let check = Duration::from_secs(3);
    for (percent, cordoned, back) in [(10, false, true), (10, true, false), (100, false, false)] {
        let balancing = shard::Balancing { check, percent };
        let mut c = Cluster::with(3, 1 << 20, Some(balancing));
        c.run(Duration::from_secs(2));
        let controller = c
            .leader(GroupId::META)
            .expect("somebody leads the metadata");
        let mut placed = vec![2, 3, 1];
        while placed[0] == controller {
            placed.rotate_left(1);
        }
        let (group, first) = (c.create_on(&placed), placed[0]);
        c.run(Duration::from_secs(1));
        assert_eq!(c.leader(group), Some(first));
        c.down = vec![NodeId(first)];
        c.run(Duration::from_secs(5));
        let heir = c.leader(group).expect("another one leads meanwhile");
        assert_ne!(heir, first);
        if cordoned {
            let name = first.to_string();
            c.configure(meta::ResourceKind::Node, &name, "cordoned.log.dirs", "*");
        }
        c.down.clear();
        let leaders = |c: &Cluster| [c.leader(group), c.leader(GroupId::META)];
        c.run(2 * check);
        let rest = leaders(&c);
        assert_eq!(
            rest[0],
            Some(if back { first } else { heir }),
            "{percent} {cordoned}"
        );
        let asked = |c: &Cluster| -> u64 {
            c.shards
                .values()
                .map(|s| s.stats().leaders_asked_back)
                .sum()
        };
        let before = asked(&c);
        assert_eq!(before, u64::from(back), "it is asked for once");
        c.run(4 * check);
        assert_eq!((leaders(&c), asked(&c)), (rest, before));
    }
}
