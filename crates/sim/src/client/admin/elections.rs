//! Unclean elections, of topics of which records may be lost: whether they are needed isn't known here.

use crate::book::topic_name;
use crate::checkers::{Checked, Part, violation};
use crate::client::links::Ask;
use crate::client::producer::unexpected;
use crate::client::{Common, Reach, codes};
use wire_kafka::messages::elect_leaders_request::{ElectLeadersRequest, TopicPartitions};
use wire_kafka::messages::elect_leaders_response::ElectLeadersResponse;

/// How often that happens.
#[derive(Clone, Debug)]
pub(crate) struct Elections {
    /// Records of any topic may be lost, because nodes are.
    pub(crate) all_may_lose: bool,
    /// Percent of topics that may lose records.
    pub(crate) topics_percent: u64,
    /// Percent of what an admin does.
    pub(crate) ask_percent: u64,
}

/// Kafka's number of an unclean election.
const UNCLEAN: i8 = 1;

/// Asks for one.
pub(super) fn ask(common: &mut Common, reach: &mut Reach<'_>) {
    let parts = common.view.parts().into_iter();
    let parts: Vec<Part> = parts.filter(|part| reach.book.elects(*part)).collect();
    if parts.is_empty() {
        return;
    }
    let part = parts[common.random.below(parts.len() as u64) as usize];
    reach.tell(|| format!("  {part} is to have a leader in any case"));
    let topic = TopicPartitions {
        topic: topic_name(part.topic),
        partitions: vec![part.partition as i32],
    };
    let body = ElectLeadersRequest {
        election_type: UNCLEAN,
        topic_partitions: Some(vec![topic]),
        timeout_ms: 2_000,
    };
    let node = common.any_node(reach);
    // The first version knows preferred leaders only.
    let version = common.version::<ElectLeadersRequest>().max(1);
    common.ask(reach, node, version, &body, Ask::Elect);
}

/// There is one, or not.
pub(super) fn asked(reach: &mut Reach<'_>, answer: &ElectLeadersResponse) -> Checked {
    let topic = answer.replica_election_results.first();
    let part = topic.and_then(|topic| topic.partition_result.first());
    let code = match part {
        Some(part) => part.error_code,
        None if answer.error_code != codes::NONE => answer.error_code,
        None => {
            let what = format!("{answer:?}");
            return Err(violation("answers fit their requests", what));
        }
    };
    reach.tell(|| format!("  an unclean election: code {code}"));
    match code {
        codes::NONE | codes::ELECTION_NOT_NEEDED | codes::NO_ELIGIBLE_LEADER => Ok(()),
        code if codes::retriable(code) => Ok(()),
        code => Err(unexpected("ElectLeaders", code)),
    }
}
