//! How much one request gets described. A name costs a client a few bytes, and what it stands for may
//! be a thousand times as long; a request may also name the same thing any number of times. So what
//! is described for one request has a bound, and what comes after it is refused.

use base::Refusal;
use broker::ConfigEntry;
use group::Reply;
use group::reply::{
    ConsumerDescribed, ConsumerDescribedMember, Described, DescribedMember, FetchedPartition,
    FetchedTopic, NamedPartitions,
};

/// Most bytes that are described for one request, but for the last part: some ten thousand topics
/// with their keys. Tests are content with less.
pub(crate) const DESCRIBED_BYTES_MAX: usize = if cfg!(test) { 1 } else { 64 } * 1024 * 1024;

/// What a part takes beside its texts, about.
const PART_BYTES: usize = 16;

/// What has been described for a request so far.
#[derive(Debug, Default)]
pub(crate) struct Extent(usize);

impl Extent {
    /// Refuses what comes once there is too much.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        match self.0 > DESCRIBED_BYTES_MAX {
            true => Err(Refusal::InvalidRequest(format!(
                "what is named before this takes more than {DESCRIBED_BYTES_MAX} bytes: ask for it in another request"
            ))),
            false => Ok(()),
        }
    }

    /// Counts an entry of a configuration that is shown, or that was only looked at.
    pub(crate) fn entry(&mut self, entry: &ConfigEntry, shown: bool, synonyms: bool, docs: bool) {
        self.0 += PART_BYTES;
        if !shown {
            return;
        }
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        self.0 += entry.name.len() + text(&entry.value);
        if docs {
            self.0 += entry.doc.len();
        }
        if synonyms {
            let all = entry.synonyms.iter();
            let bytes = all.map(|of| of.name.len() + text(&of.value) + PART_BYTES);
            self.0 += bytes.sum::<usize>();
        }
    }

    /// Counts what a coordinator answered.
    pub(crate) fn reply(&mut self, reply: &Reply) {
        self.0 += match reply {
            Reply::DescribeGroups(groups) => {
                let groups = groups.iter().filter_map(|(_, group)| group.as_ref().ok());
                groups.map(classic).sum()
            }
            Reply::ConsumerDescribe(groups) => {
                let groups = groups.iter().filter_map(|(_, group)| group.as_ref().ok());
                groups.map(consumer).sum()
            }
            Reply::OffsetFetch(Ok(topics)) => topics.iter().map(fetched).sum(),
            _ => PART_BYTES,
        };
    }
}

fn classic(group: &Described) -> usize {
    let member = |m: &DescribedMember| {
        let names = m.member.len() + m.client_id.len() + m.client_host.len();
        PART_BYTES + names + m.metadata.len() + m.assignment.len()
    };
    PART_BYTES + group.members.iter().map(member).sum::<usize>()
}

fn consumer(group: &ConsumerDescribed) -> usize {
    let part = |part: &NamedPartitions| PART_BYTES + part.name.len() + 4 * part.partitions.len();
    let member = |m: &ConsumerDescribedMember| {
        let names = m.member.len() + m.client_id.len() + m.client_host.len();
        let topics: usize = m.topics.iter().map(|name| name.len() + 4).sum();
        let parts = m.assignment.iter().chain(&m.target);
        PART_BYTES + names + topics + parts.map(part).sum::<usize>()
    };
    PART_BYTES + group.members.iter().map(member).sum::<usize>()
}

fn fetched(topic: &FetchedTopic) -> usize {
    let part = |part: &FetchedPartition| match &part.offset {
        Ok(Some(found)) => 2 * PART_BYTES + found.metadata.len(),
        _ => PART_BYTES,
    };
    PART_BYTES + topic.name.len() + topic.partitions.iter().map(part).sum::<usize>()
}
