//! Reads that wait: for whom, and for how much.

use super::*;

impl Cluster {
    /// One node with a topic.
    fn one_with_a_topic() -> (Cluster, GroupId) {
        let mut c = Cluster::new(1);
        c.run(Duration::from_millis(20));
        let group = c.create_topic(1);
        c.run(Duration::from_millis(200));
        (c, group)
    }

    /// A read of all of a group's records that waits for so many bytes, a minute long. Its ticket.
    fn park(&mut self, group: GroupId, bytes_min: u32, sink: Arc<Inbox>) -> u64 {
        self.ticket += 1;
        let ticket = self.ticket;
        let part = ReadPart {
            group,
            offset: Offset(0),
            bytes_max: 1 << 20,
            leader_epoch: None,
            last_fetched_epoch: None,
        };
        let command = Command::Read {
            bytes_min,
            bytes_max: 1 << 20,
            deadline: self.now.after(Duration::from_secs(60)),
            parts: vec![part],
        };
        let to = ReplyTo { sink, ticket };
        self.event(NodeId(1), Event::Command(command, Some(to)));
        ticket
    }

    fn waiting(&self) -> u64 {
        self.shards[&NodeId(1)].stats().reads_waiting
    }
}

#[test]
fn reads_of_those_who_left_are_given_up_and_no_others() {
    let (mut c, group) = Cluster::one_with_a_topic();
    let (left, stays) = (Arc::new(Inbox::default()), c.inbox.clone());
    for _ in 0..1500 {
        c.park(group, 1, left.clone());
    }
    let ticket = c.park(group, 1, stays.clone());
    c.run(Duration::from_millis(300));
    assert_eq!(c.waiting(), 1501);
    left.1.store(true, Ordering::Relaxed);
    c.run(Duration::from_millis(300));
    assert_eq!(c.waiting(), 1);
    c.append(1, group, batch(1, 0, "news")).unwrap();
    assert!(left.0.lock().unwrap().is_empty());
    assert!(stays.0.lock().unwrap().contains_key(&ticket));
    assert_eq!(c.waiting(), 0);
}
