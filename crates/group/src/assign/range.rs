//! The assignor `range`: for each topic, those who want it stand in line and get a run of
//! neighbouring partitions each, the first ones one more if it doesn't come out even. The line is
//! the same for every topic, so topics of the same size that the same members want are cut at the
//! same places. It doesn't look at what was before and so it isn't sticky.

use super::{Assignment, Member, Topic};

pub(super) fn assign(members: &[Member<'_>], topics: &[Topic]) -> Vec<Assignment> {
    let mut wanting: Vec<Vec<usize>> = vec![Vec::new(); topics.len()];
    for member in line(members) {
        for topic in members[member].topics {
            wanting[*topic].push(member);
        }
    }
    let mut all = vec![Assignment::new(); members.len()];
    for (topic, wanting) in topics.iter().zip(&wanting) {
        cut(topic, wanting, &mut all);
    }
    all
}

/// Static members come first, by their static name, so that their ranges survive a restart; then
/// the others by their id.
fn line(members: &[Member<'_>]) -> Vec<usize> {
    let mut line: Vec<usize> = (0..members.len()).collect();
    line.sort_by_key(|at| {
        let member = &members[*at];
        (member.instance.is_none(), member.instance, member.id)
    });
    line
}

fn cut(topic: &Topic, wanting: &[usize], all: &mut [Assignment]) {
    let count = u32::try_from(wanting.len()).unwrap_or(u32::MAX).max(1);
    let (share, more) = (topic.partitions / count, topic.partitions % count);
    let mut next = 0;
    for (place, member) in (0u32..).zip(wanting) {
        let end = next + share + u32::from(place < more);
        if next < end {
            let run = (next..end).map(|partition| partition as i32).collect();
            all[*member].insert(topic.id, run);
        }
        next = end;
    }
}
