//! How refusals of OffsetFetch look.

use super::groups::call;
use base::Refusal;
use wire_kafka::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic,
};

#[test]
fn who_fetches_offsets_is_sent_to_look_for_the_coordinator_and_never_told_that_there_is_none() {
    let request = OffsetFetchRequest {
        group_id: "g".into(),
        topics: Some(vec![OffsetFetchRequestTopic {
            name: "orders".into(),
            partition_indexes: vec![0],
        }]),
        groups: vec![OffsetFetchRequestGroup {
            group_id: "g".into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    for why in [
        Refusal::Timeout,
        Refusal::Busy("coordinators".into()),
        Refusal::LeaderNotAvailable,
    ] {
        for version in 0..=10 {
            let (_, answer) = call(version, &request, Err(why.clone()));
            let code = match version {
                0 | 1 => answer.topics[0].partitions[0].error_code,
                2..=7 => answer.error_code,
                _ => answer.groups[0].error_code,
            };
            assert_eq!(code, 16, "{version} {why}");
        }
    }
}
