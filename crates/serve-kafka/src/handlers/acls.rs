//! DescribeAcls (key 29), CreateAcls (30) and DeleteAcls (31), versions 0 to 3. There is no
//! authorizer, so they are refused as Kafka refuses them without one; tools take that for what it is.
//!
//! 0: the first. 1: kinds of patterns. 2: flexible. 3: resources of kind user.

use super::{Api, Door, Request, Step};
use crate::refusals::codes;
use base::Now;
use wire_kafka::messages::create_acls_request::CreateAclsRequest;
use wire_kafka::messages::create_acls_response::{AclCreationResult, CreateAclsResponse};
use wire_kafka::messages::delete_acls_request::DeleteAclsRequest;
use wire_kafka::messages::delete_acls_response::{DeleteAclsFilterResult, DeleteAclsResponse};
use wire_kafka::messages::describe_acls_request::DescribeAclsRequest;
use wire_kafka::messages::describe_acls_response::DescribeAclsResponse;
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const DESCRIBE: Api = Api {
    key: ApiKey::DescribeAcls,
    versions: 0..=3,
    serve: describe,
};

pub(crate) const CREATE: Api = Api {
    key: ApiKey::CreateAcls,
    versions: 0..=3,
    serve: create,
};

pub(crate) const DELETE: Api = Api {
    key: ApiKey::DeleteAcls,
    versions: 0..=3,
    serve: delete,
};

const NO_AUTHORIZER: &str = "No Authorizer is configured.";

fn describe(_: &Door, _: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    DescribeAclsRequest::decode(request.version, reader)?;
    Ok(request.answer(&DescribeAclsResponse {
        error_code: codes::SECURITY_DISABLED,
        error_message: Some("No Authorizer is configured on the broker".to_owned()),
        ..Default::default()
    }))
}

fn create(_: &Door, _: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = CreateAclsRequest::decode(request.version, reader)?;
    let refused = AclCreationResult {
        error_code: codes::SECURITY_DISABLED,
        error_message: Some(NO_AUTHORIZER.to_owned()),
    };
    Ok(request.answer(&CreateAclsResponse {
        results: vec![refused; body.creations.len()],
        ..Default::default()
    }))
}

fn delete(_: &Door, _: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = DeleteAclsRequest::decode(request.version, reader)?;
    let refused = DeleteAclsFilterResult {
        error_code: codes::SECURITY_DISABLED,
        error_message: Some(NO_AUTHORIZER.to_owned()),
        matching_acls: Vec::new(),
    };
    Ok(request.answer(&DeleteAclsResponse {
        filter_results: vec![refused; body.filters.len()],
        ..Default::default()
    }))
}
