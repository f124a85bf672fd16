//! ListPartitionReassignments (key 46), version 0. Replicas don't move yet, so none is moving.

use super::{Api, Door, Request, Step};
use base::Now;
use wire_kafka::messages::list_partition_reassignments_request::ListPartitionReassignmentsRequest;
use wire_kafka::messages::list_partition_reassignments_response::ListPartitionReassignmentsResponse;
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::ListPartitionReassignments,
    versions: 0..=0,
    serve,
};

fn serve(_: &Door, _: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    ListPartitionReassignmentsRequest::decode(request.version, reader)?;
    Ok(request.answer(&ListPartitionReassignmentsResponse::default()))
}
