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
        self.park_within(group, bytes_min, 1 << 20, sink)
    }

    /// The same with at most so many bytes of the partition.
    fn park_within(
        &mut self,
        group: GroupId,
        bytes_min: u32,
        bytes_max: u32,
        sink: Arc<Inbox>,
    ) -> u64 {
        self.ticket += 1;
        let ticket = self.ticket;
        let part = ReadPart {
            group,
            offset: Offset(0),
            bytes_max,
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

    fn planned_again(&self) -> u64 {
        self.shards[&NodeId(1)].stats().reads_planned_again
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

#[test]
fn a_read_that_waits_for_much_is_not_planned_at_each_commit() {
    let (mut c, group) = Cluster::one_with_a_topic();
    let value = "v".repeat(1000);
    let one = batch(1, 0, &value).len() as u32;
    let ticket = c.park(group, 20 * one, c.inbox.clone());
    let before = c.planned_again();
    for sequence in 0..19 {
        c.append(1, group, batch(1, sequence, &value)).unwrap();
    }
    assert_eq!((c.waiting(), c.planned_again()), (1, before));
    c.append(1, group, batch(1, 19, &value)).unwrap();
    assert_eq!((c.waiting(), c.planned_again()), (0, before + 1));
    let reply = c.inbox.0.lock().unwrap().remove(&ticket);
    let Some(Reply::Read(parts)) = reply else {
        panic!("it has all that it waited for")
    };
    assert_eq!(parts[0].as_ref().unwrap().hot.len(), 20);
}

#[test]
fn a_read_that_may_not_have_what_was_committed_waits_on() {
    let (mut c, group) = Cluster::one_with_a_topic();
    let value = "v".repeat(1000);
    let one = batch(1, 0, &value).len() as u32;
    let before = c.planned_again();
    // Four batches are enough, but of this partition there may be two.
    c.park_within(group, 4 * one, 2 * one, c.inbox.clone());
    for sequence in 0..9 {
        c.append(1, group, batch(1, sequence, &value)).unwrap();
    }
    assert_eq!(c.waiting(), 1);
    assert_eq!(
        c.planned_again() - before,
        3,
        "after four, six and eight of them"
    );
}

#[test]
fn a_read_that_waits_learns_at_once_that_its_records_are_gone() {
    let (mut c, group) = Cluster::one_with_a_topic();
    c.append(1, group, batch(1, 0, "old")).unwrap();
    let ticket = c.park(group, 1 << 19, c.inbox.clone());
    assert_eq!(c.waiting(), 1);
    assert_eq!(c.delete(1, group, None), Ok(1));
    let reply = c.inbox.0.lock().unwrap().remove(&ticket);
    let Some(Reply::Read(parts)) = reply else {
        panic!("it is answered")
    };
    assert!(matches!(parts[0], Err(Refusal::OffsetOutOfRange)));
}
