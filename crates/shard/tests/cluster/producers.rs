//! For how long replicas remember idempotent producers.

use super::*;

impl Cluster {
    /// How many producers each node remembers.
    fn remembered(&self, group: GroupId) -> Vec<usize> {
        let shards = self.shards.values();
        let known = shards.map(|shard| shard.producers_remembered(group).unwrap());
        known.collect()
    }
}

#[test]
fn silent_producers_are_forgotten_on_every_replica_as_soon_as_somebody_says_so() {
    let mut c = Cluster::new(3);
    c.run(Duration::from_secs(2));
    let group = c.create_topic(1);
    c.run(Duration::from_secs(1));
    let leader = c.leader(group).expect("a leader within a second");
    c.append(leader, group, batch(1, 0, "a")).unwrap();
    c.append(leader, group, batch(2, 0, "b")).unwrap();
    c.run(Duration::from_secs(60));
    assert_eq!(c.remembered(group), [2, 2, 2], "for a day");
    let key = "producer.id.expiration.ms";
    c.configure(meta::ResourceKind::Node, "", key, "4000");
    for sequence in 1..20 {
        c.append(leader, group, batch(2, sequence, "b")).unwrap();
        c.run(Duration::from_millis(500));
    }
    assert_eq!(c.remembered(group), [1, 1, 1], "one goes on");
    let again = c.append(leader, group, batch(2, 19, "b"));
    assert_eq!(again, Ok(Offset(20)), "a duplicate");
    let later = c.append(leader, group, batch(1, 1, "a"));
    assert_eq!(later, Ok(Offset(21)), "it goes on where it was");
    c.run(Duration::from_secs(6));
    assert_eq!(c.remembered(group), [0, 0, 0]);
}
