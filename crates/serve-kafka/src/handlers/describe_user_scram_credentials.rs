//! DescribeUserScramCredentials (key 50), version 0. There are no users with passwords yet, so
//! nobody has any; tools that list users ask for it.

use super::{Api, Door, Request, Step};
use crate::refusals::codes;
use base::Now;
use wire_kafka::messages::describe_user_scram_credentials_request::DescribeUserScramCredentialsRequest;
use wire_kafka::messages::describe_user_scram_credentials_response::{
    DescribeUserScramCredentialsResponse, DescribeUserScramCredentialsResult,
};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::DescribeUserScramCredentials,
    versions: 0..=0,
    serve,
};

fn serve(_: &Door, _: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = DescribeUserScramCredentialsRequest::decode(request.version, reader)?;
    let named = body.users.unwrap_or_default().into_iter();
    let results = named.map(|user| DescribeUserScramCredentialsResult {
        error_code: codes::RESOURCE_NOT_FOUND,
        error_message: Some(format!(
            "Attempt to describe a user credential that does not exist: {}",
            user.name
        )),
        user: user.name,
        ..Default::default()
    });
    Ok(request.answer(&DescribeUserScramCredentialsResponse {
        results: results.collect(),
        ..Default::default()
    }))
}
