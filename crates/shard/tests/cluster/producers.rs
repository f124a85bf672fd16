//! For how long replicas remember idempotent producers.

use super::*;

impl Cluster {
    /// How many producers each node remembers.
    fn remembered(&self, group: GroupId) -> Vec<usize> {
        let shards = self.shards.values();
        let known = shards.map(|shard| shard.producers_remembered(group).unwrap());
        known.collect()
    }

    fn tell_controller(&mut self, command: meta::Command) {
        let deadline = self.now.after(Duration::from_secs(5));
        match self.call(1, Command::Meta { command, deadline }) {
            Reply::Meta(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    }

    fn give_producer_ids(&mut self, count: u32) {
        self.tell_controller(meta::Command::AllocateProducerIds { count });
    }

    fn delete_topic(&mut self) {
        let topics = vec![meta::TopicRef::Name("t".into())];
        self.tell_controller(meta::Command::DeleteTopics { topics });
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

#[test]
fn a_producer_goes_on_in_a_topic_that_is_made_again_and_a_new_one_begins_at_0() {
    let mut c = Cluster::new(3);
    c.run(Duration::from_secs(2));
    c.give_producer_ids(10);
    let group = c.create_topic(1);
    c.run(Duration::from_secs(1));
    let leader = c.leader(group).expect("a leader within a second");
    c.append(leader, group, batch(1, 0, "a")).unwrap();
    let middle = c.append(leader, group, batch(2, 7, "b"));
    assert!(matches!(middle, Err(Refusal::OutOfOrderSequence(_))));
    c.delete_topic();
    c.give_producer_ids(10);
    let again = c.create_topic(1);
    c.run(Duration::from_secs(1));
    let leader = c.leader(again).expect("a leader within a second");
    let on = c.append(leader, again, batch(1, 1, "c"));
    assert_eq!(on, Ok(Offset(0)), "it goes on counting");
    let gap = c.append(leader, again, batch(1, 3, "d"));
    assert!(matches!(gap, Err(Refusal::OutOfOrderSequence(_))));
    let new = c.append(leader, again, batch(10, 1, "e"));
    assert!(matches!(new, Err(Refusal::OutOfOrderSequence(_))));
}
