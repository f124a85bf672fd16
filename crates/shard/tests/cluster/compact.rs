//! When logs are compacted. What a rewrite does is tested where it is done, in `log`.

use super::*;

/// No batch is compressed here.
pub(crate) const PLAIN: log::Codec = log::Codec {
    unpack: |batch| Some(batch.body().clone()),
    pack: |_, plain| Some(plain.to_vec()),
};

/// Jobs that the test does, or doesn't.
pub(crate) fn waits(job: &shard::Job) -> bool {
    matches!(job, shard::Job::Check { .. } | shard::Job::Rewrite { .. })
}

impl Cluster {
    fn compact_every(&mut self, ms: &str) {
        self.configure(meta::ResourceKind::Node, "", "log.cleaner.backoff.ms", ms);
    }

    /// How many rewrites were begun.
    fn rewrites(&self) -> usize {
        let rewrites = |(_, job): &&(NodeId, shard::Job)| matches!(job, shard::Job::Rewrite { .. });
        self.checks.iter().filter(rewrites).count()
    }
}

const COMPACTED: &[(&str, &str)] = &[
    ("cleanup.policy", "compact"),
    ("min.cleanable.dirty.ratio", "0"),
];

#[test]
fn how_often_it_is_looked_changes_at_once_both_ways() {
    let mut c = Cluster::new(3);
    c.run(Duration::from_secs(2));
    c.compact_every("3600000");
    let (mut c, ..) = five_segments_in(c, COMPACTED);
    c.run(Duration::from_secs(5));
    assert_eq!(c.rewrites(), 0);
    c.compact_every("1000");
    c.run(Duration::from_secs(4));
    assert_eq!(c.rewrites(), 3, "one on each node");
}

#[test]
fn a_rewrite_leaves_records_of_clients_their_room() {
    let mut c = Cluster::new(3);
    c.run(Duration::from_secs(2));
    c.compact_every("3600000");
    let (mut c, leader, group) = five_segments_in(c, COMPACTED);
    for at in 5..10 {
        let large = batch(1, at, &"v".repeat(3_000));
        assert!(c.append(leader, group, large).is_ok());
    }
    for node in 1..=3 {
        c.event(NodeId(node), Event::DiskFree(8_000));
    }
    c.compact_every("1000");
    c.run(Duration::from_secs(5));
    assert_eq!(c.rewrites(), 3, "one on each node");
    for (node, job) in std::mem::take(&mut c.checks) {
        let given_up = matches!(job, shard::Job::Rewrite { goes_on: false, .. });
        assert!(given_up, "what it writes would be missing: {job:?}");
        c.event(node, Event::Done(job, shard::JobResult::Abandoned));
    }
    c.run(Duration::from_secs(5));
    assert_eq!(c.rewrites(), 0, "nothing has changed");
    let told = c.notes.iter().filter(|note| note.contains("given up"));
    assert_eq!(told.count(), 3, "{:?}", c.notes);
    // Room for all that there is would do, though nothing of it may go in the end.
    let bytes = c.shards[&NodeId(1)]
        .replica_status(group)
        .unwrap()
        .log_bytes;
    c.event(NodeId(1), Event::DiskFree(bytes + 5_000));
    c.run(Duration::from_secs(5));
    assert_eq!(c.rewrites(), 1);
}
