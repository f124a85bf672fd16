use super::*;
use crate::client::tests::nobody_at;
use crate::client::tests::node::{self, Script};
use std::time::Duration;
use wire_kafka::ApiKey;
use wire_kafka::messages::create_topics_response::CreateTopicsResponse;

fn told(code: i16) -> Option<CreateTopicsResponse> {
    Some(CreateTopicsResponse {
        topics: vec![CreatableTopicResult {
            name: "t".into(),
            error_code: code,
            ..Default::default()
        }],
        ..Default::default()
    })
}

/// Creates `t` at a node that says these things one after the other.
fn make(script: Script) -> Result<bool, Trouble> {
    let (address, _) = node::start(Script {
        spoken: vec![
            (ApiKey::ApiVersions, 4),
            (ApiKey::Metadata, 12),
            (ApiKey::CreateTopics, 7),
        ],
        ..script
    });
    let mut cluster = Cluster::new(&address)?;
    let deadline = Deadline::after(Duration::from_secs(20));
    let request = CreateTopicsRequest::default();
    ask_to_create(&mut cluster, &request, false, deadline)
}

#[test]
fn a_controller_that_just_died_is_in_nobodys_way() {
    let (port, _held) = nobody_at();
    let made = make(Script {
        controller: Some((2, port)),
        created: vec![told(0)],
        ..Script::default()
    });
    assert!(made.expect("any node passes it on"));
}

#[test]
fn a_topic_that_is_there_after_an_answer_was_lost_was_made() {
    let made = |created| {
        make(Script {
            created,
            ..Script::default()
        })
    };
    assert!(made(vec![None, told(36)]).expect("made by the first attempt"));
    assert!(made(vec![told(7), told(36)]).expect("made after its time"));
    let refused = made(vec![told(41), told(36)]).expect_err("somebody else's");
    assert!(refused.to_string().contains("TOPIC_ALREADY_EXISTS"));
}
