//! Deleting records: up to an offset, to the high watermark, sometimes beyond it.

use crate::book::topic_name;
use crate::checkers::starts::ANYWHERE;
use crate::checkers::{Checked, Part, violation};
use crate::client::links::Ask;
use crate::client::producer::unexpected;
use crate::client::{Common, Reach, codes};
use wire_kafka::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use wire_kafka::messages::delete_records_response::DeleteRecordsResponse;

/// Kafka's name for the high watermark.
const HIGH_WATERMARK: i64 = -1;

/// Asks for records to be deleted.
pub(super) fn delete(common: &mut Common, reach: &mut Reach<'_>, part: Part) {
    let Some((leader, _)) = common.view.leaders.get(&part).copied() else {
        return;
    };
    let high = reach.checkers.committed.high_watermark(part) as u64;
    let before = match common.random.below(10) {
        0 => HIGH_WATERMARK,
        1 => (high + common.random.below(20)) as i64,
        _ => common.random.below(high + 1) as i64,
    };
    let start = if before < 0 { ANYWHERE } else { before };
    reach.checkers.starts.asked(part, start);
    let partition = DeleteRecordsPartition {
        partition_index: part.partition as i32,
        offset: before,
    };
    let body = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: topic_name(part.topic),
            partitions: vec![partition],
        }],
        timeout_ms: 2_000,
    };
    let version = common.version::<DeleteRecordsRequest>();
    common.ask(
        reach,
        leader,
        version,
        &body,
        Ask::DeleteRecords(part, before),
    );
}

/// Records were deleted, or not.
pub(super) fn deleted(
    common: &mut Common,
    reach: &mut Reach<'_>,
    part: Part,
    before: i64,
    answer: &DeleteRecordsResponse,
) -> Checked {
    let topic = answer.topics.first();
    let Some(result) = topic.and_then(|topic| topic.partitions.first()) else {
        let what = format!("{answer:?}");
        return Err(violation("answers fit their requests", what));
    };
    let (code, start, now) = (result.error_code, result.low_watermark, reach.now);
    reach.tell(|| format!("  {part} deleted before {before}: code {code}, starts at {start}"));
    match code {
        codes::NONE if start < before => {
            let what = format!("{part}: before {before} was asked, {start} answered");
            Err(violation("deleted records are gone", what))
        }
        codes::NONE => {
            let by = || format!("DeleteRecords at {now} us");
            reach.checkers.committed.told(part, start, by);
            reach.checkers.starts.told(part, start, by)
        }
        codes::OFFSET_OUT_OF_RANGE => Ok(()),
        code if codes::retriable(code) => {
            common.view.wanted = true;
            Ok(())
        }
        code => Err(unexpected("DeleteRecords", code)),
    }
}
