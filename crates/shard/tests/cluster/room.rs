//! Disks that fill up.

use super::*;

#[test]
fn a_full_disk_is_told_once_and_so_is_that_there_is_room() {
    let mut c = Cluster::new(1);
    c.run(Duration::from_millis(20));
    let group = c.create_topic(1);
    for free in [5000, 999, 800] {
        c.event(NodeId(1), Event::DiskFree(free));
        c.run(Duration::from_millis(20));
    }
    let refused = c.append(1, group, batch(1, 0, "a"));
    assert!(matches!(refused, Err(Refusal::Storage(_))), "{refused:?}");
    let told = |c: &Cluster| c.notes.iter().filter(|n| n.contains("bytes free")).count();
    assert_eq!(told(&c), 1, "{:?}", c.notes);
    for free in [1000, 2000] {
        c.event(NodeId(1), Event::DiskFree(free));
        c.run(Duration::from_millis(20));
    }
    assert_eq!(told(&c), 2, "{:?}", c.notes);
    assert_eq!(c.append(1, group, batch(1, 0, "a")), Ok(Offset(0)));
}
