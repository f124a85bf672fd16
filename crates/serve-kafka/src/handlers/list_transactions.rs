//! ListTransactions (key 66), versions 0 to 2. There are no transactions yet, so the list is
//! empty; names of states that Kafka doesn't know are told.
//!
//! 0: filters by state and producer. 1: by how long they run. 2: by a pattern of their ids.

use super::{Api, Door, Request, Step};
use base::Now;
use wire_kafka::messages::list_transactions_request::ListTransactionsRequest;
use wire_kafka::messages::list_transactions_response::ListTransactionsResponse;
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::ListTransactions,
    versions: 0..=2,
    serve,
};

/// The states that a transaction can be in.
const STATES: [&str; 8] = [
    "Empty",
    "Ongoing",
    "PrepareCommit",
    "PrepareAbort",
    "CompleteCommit",
    "CompleteAbort",
    "Dead",
    "PrepareEpochFence",
];

fn serve(_: &Door, _: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = ListTransactionsRequest::decode(request.version, reader)?;
    let unknown = |state: &String| !STATES.contains(&state.as_str());
    let filters = body.state_filters.into_iter().filter(unknown);
    Ok(request.answer(&ListTransactionsResponse {
        unknown_state_filters: filters.collect(),
        ..Default::default()
    }))
}
