//! CreateDelegationToken (key 38), RenewDelegationToken (39), ExpireDelegationToken (40) and
//! DescribeDelegationToken (41). Who hasn't shown who it is may not ask for tokens; that is everybody
//! here, for there is no authentication, and Kafka refuses it in the same way then.
//!
//! 0: the first. 1: nothing new. 2: flexible. 3: tokens for somebody else.

use super::{Api, Door, Request, Step};
use crate::refusals::codes;
use base::Now;
use wire_kafka::messages::create_delegation_token_request::CreateDelegationTokenRequest;
use wire_kafka::messages::create_delegation_token_response::CreateDelegationTokenResponse;
use wire_kafka::messages::describe_delegation_token_request::DescribeDelegationTokenRequest;
use wire_kafka::messages::describe_delegation_token_response::DescribeDelegationTokenResponse;
use wire_kafka::messages::expire_delegation_token_request::ExpireDelegationTokenRequest;
use wire_kafka::messages::expire_delegation_token_response::ExpireDelegationTokenResponse;
use wire_kafka::messages::renew_delegation_token_request::RenewDelegationTokenRequest;
use wire_kafka::messages::renew_delegation_token_response::RenewDelegationTokenResponse;
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const CREATE: Api = Api {
    key: ApiKey::CreateDelegationToken,
    versions: 0..=3,
    serve: create,
};

pub(crate) const RENEW: Api = Api {
    key: ApiKey::RenewDelegationToken,
    versions: 0..=2,
    serve: renew,
};

pub(crate) const EXPIRE: Api = Api {
    key: ApiKey::ExpireDelegationToken,
    versions: 0..=2,
    serve: expire,
};

pub(crate) const DESCRIBE: Api = Api {
    key: ApiKey::DescribeDelegationToken,
    versions: 0..=3,
    serve: describe,
};

/// The time of a token that there is none of.
const NO_TIME: i64 = -1;

fn create(door: &Door, _: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    CreateDelegationTokenRequest::decode(request.version, reader)?;
    let (kind, name) = (&door.principal.kind, &door.principal.name);
    Ok(request.answer(&CreateDelegationTokenResponse {
        error_code: codes::DELEGATION_TOKEN_REQUEST_NOT_ALLOWED,
        principal_type: kind.to_string(),
        principal_name: name.to_string(),
        token_requester_principal_type: kind.to_string(),
        token_requester_principal_name: name.to_string(),
        issue_timestamp_ms: NO_TIME,
        expiry_timestamp_ms: NO_TIME,
        max_timestamp_ms: NO_TIME,
        ..Default::default()
    }))
}

fn renew(_: &Door, _: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    RenewDelegationTokenRequest::decode(request.version, reader)?;
    Ok(request.answer(&RenewDelegationTokenResponse {
        error_code: codes::DELEGATION_TOKEN_REQUEST_NOT_ALLOWED,
        expiry_timestamp_ms: NO_TIME,
        ..Default::default()
    }))
}

fn expire(_: &Door, _: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    ExpireDelegationTokenRequest::decode(request.version, reader)?;
    Ok(request.answer(&ExpireDelegationTokenResponse {
        error_code: codes::DELEGATION_TOKEN_REQUEST_NOT_ALLOWED,
        expiry_timestamp_ms: NO_TIME,
        ..Default::default()
    }))
}

fn describe(_: &Door, _: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    DescribeDelegationTokenRequest::decode(request.version, reader)?;
    Ok(request.answer(&DescribeDelegationTokenResponse {
        error_code: codes::DELEGATION_TOKEN_REQUEST_NOT_ALLOWED,
        ..Default::default()
    }))
}
