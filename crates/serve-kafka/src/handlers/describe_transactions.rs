//! DescribeTransactions (key 65), version 0. There are no transactions yet, so none is known.

use super::{Api, Door, Request, Step};
use crate::refusals::codes;
use base::Now;
use wire_kafka::messages::describe_transactions_request::DescribeTransactionsRequest;
use wire_kafka::messages::describe_transactions_response::{
    DescribeTransactionsResponse, TransactionState,
};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::DescribeTransactions,
    versions: 0..=0,
    serve,
};

fn serve(_: &Door, _: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = DescribeTransactionsRequest::decode(request.version, reader)?;
    let states = body
        .transactional_ids
        .into_iter()
        .map(|id| TransactionState {
            error_code: match id.is_empty() {
                true => codes::INVALID_REQUEST,
                false => codes::TRANSACTIONAL_ID_NOT_FOUND,
            },
            transactional_id: id,
            ..Default::default()
        });
    Ok(request.answer(&DescribeTransactionsResponse {
        transaction_states: states.collect(),
        ..Default::default()
    }))
}
