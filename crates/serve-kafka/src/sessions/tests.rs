use super::*;
use wire_kafka::Records;
use wire_kafka::messages::fetch_request::ForgottenTopic;
use wire_kafka::messages::fetch_response::FetchableTopicResponse;

fn sessions() -> Sessions {
    Sessions::new(3, Arc::default())
}

fn request(id: i32, epoch: i32, topics: &[(&str, &[i32])]) -> FetchRequest {
    let part = |partition: &i32| FetchPartition {
        partition: *partition,
        ..Default::default()
    };
    let topic = |(name, partitions): &(&str, &[i32])| FetchTopic {
        topic: name.to_string(),
        partitions: partitions.iter().map(part).collect(),
        ..Default::default()
    };
    FetchRequest {
        session_id: id,
        session_epoch: epoch,
        topics: topics.iter().map(topic).collect(),
        ..Default::default()
    }
}

fn named(body: &FetchRequest) -> Vec<(String, i32)> {
    let topics = body.topics.iter();
    topics
        .flat_map(|t| t.partitions.iter().map(|p| (t.topic.clone(), p.partition)))
        .collect()
}

/// An answer with what was found: partition of "a", high watermark, records.
fn answer(id: i32, found: &[(i32, i64, &'static [u8])]) -> FetchResponse {
    let part = |(partition_index, high_watermark, records): &(i32, i64, &'static [u8])| {
        let records = bytes::Bytes::from_static(records);
        PartitionData {
            partition_index: *partition_index,
            high_watermark: *high_watermark,
            records: Some(Records::from(records)),
            ..Default::default()
        }
    };
    FetchResponse {
        session_id: id,
        responses: vec![FetchableTopicResponse {
            topic: "a".to_owned(),
            partitions: found.iter().map(part).collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn told(answer: &FetchResponse) -> Vec<i32> {
    let topics = answer.responses.iter();
    topics
        .flat_map(|t| t.partitions.iter().map(|p| p.partition_index))
        .collect()
}

#[test]
fn a_session_remembers_adds_replaces_and_forgets() {
    let mut sessions = sessions();
    let id = sessions
        .complete(&mut request(0, 0, &[("a", &[0, 1]), ("b", &[0])]), false)
        .expect("opened");
    let mut next = request(id, 1, &[("c", &[4]), ("a", &[1])]);
    next.topics[1].partitions[0].fetch_offset = 77;
    next.forgotten_topics_data = vec![ForgottenTopic {
        topic: "b".to_owned(),
        partitions: vec![0],
        ..Default::default()
    }];
    assert_eq!(sessions.complete(&mut next, false), Ok(id));
    let all = [("a", 0), ("a", 1), ("c", 4)].map(|(t, p)| (t.to_owned(), p));
    assert_eq!(named(&next), all);
    assert_eq!(next.topics[0].partitions[1].fetch_offset, 77);
    assert_eq!(sessions.counters.session_partitions(), 3);
}

#[test]
fn what_got_records_waits_behind_the_others_and_what_is_known_is_not_told() {
    let mut sessions = sessions();
    let mut body = request(0, 0, &[("a", &[0, 1, 2])]);
    let id = sessions.complete(&mut body, false).expect("opened");
    let mut first = answer(id, &[(0, 5, b"x"), (1, 0, b""), (2, 0, b"")]);
    sessions.thin_out(&mut first);
    assert_eq!(told(&first), [0, 1, 2]);
    let mut next = request(id, 1, &[]);
    assert_eq!(sessions.complete(&mut next, false), Ok(id));
    let turns: Vec<i32> = named(&next).into_iter().map(|(_, p)| p).collect();
    assert_eq!(turns, [1, 2, 0]);
    let mut second = answer(id, &[(1, 0, b""), (2, 1, b""), (0, 5, b"")]);
    sessions.thin_out(&mut second);
    assert_eq!(told(&second), [2], "its high watermark moved");
    let mut third = answer(id, &[(1, 0, b""), (2, 1, b""), (0, 5, b"")]);
    sessions.thin_out(&mut third);
    assert!(third.responses.is_empty());
}

#[test]
fn an_error_is_told_every_time_and_what_comes_after_it_too() {
    let mut sessions = sessions();
    let id = sessions
        .complete(&mut request(0, 0, &[("a", &[0])]), false)
        .expect("opened");
    sessions.thin_out(&mut answer(id, &[(0, 5, b"")]));
    for _ in 0..2 {
        let mut failed = answer(id, &[(0, -1, b"")]);
        failed.responses[0].partitions[0].error_code = 6;
        sessions.thin_out(&mut failed);
        assert_eq!(told(&failed), [0]);
    }
    let mut well = answer(id, &[(0, 5, b"")]);
    sessions.thin_out(&mut well);
    assert_eq!(told(&well), [0]);
}

#[test]
fn wrong_epochs_ids_and_names_are_refused() {
    let mut sessions = sessions();
    let id = sessions
        .complete(&mut request(0, 0, &[("a", &[0])]), false)
        .expect("opened");
    let refused = |sessions: &mut Sessions, id, epoch, by_id| {
        sessions.complete(&mut request(id, epoch, &[]), by_id)
    };
    assert_eq!(refused(&mut sessions, id + 1, 1, false), Err(70));
    assert_eq!(refused(&mut sessions, id, 2, false), Err(71));
    assert_eq!(refused(&mut sessions, id, 1, true), Err(106));
    assert_eq!(refused(&mut sessions, id, -1, false), Ok(0));
    assert_eq!(
        refused(&mut sessions, id, 1, false),
        Err(70),
        "it was ended"
    );
    assert_eq!(sessions.counters.session_partitions(), 0);
}

#[test]
fn a_node_without_room_opens_none() {
    let counters = Arc::new(Counters::default());
    assert!(counters.resize_sessions(0, PARTITIONS_MAX - 1));
    let mut sessions = Sessions::new(1, Arc::clone(&counters));
    let mut two = request(0, 0, &[("a", &[0, 1])]);
    assert_eq!(sessions.complete(&mut two, false), Ok(0));
    let mut one = request(0, 0, &[("a", &[0])]);
    let id = sessions.complete(&mut one, false).expect("there is room");
    assert_ne!(id, 0);
    let mut more = request(id, 1, &[("a", &[1])]);
    assert_eq!(sessions.complete(&mut more, false), Err(70));
    drop(sessions);
    assert_eq!(counters.session_partitions(), PARTITIONS_MAX - 1);
}

#[test]
fn partitions_share_their_topics_name() {
    let mut sessions = sessions();
    let mut body = request(0, 0, &[("a", &[0, 1, 2])]);
    let id = sessions.complete(&mut body, false).expect("opened");
    let mut next = request(id, 1, &[("b", &[0, 1])]);
    assert_eq!(sessions.complete(&mut next, false), Ok(id));
    let order = &sessions.session.as_ref().expect("opened").order;
    let shared = |one: usize, other: usize| Arc::ptr_eq(&order[one].name, &order[other].name);
    assert!(shared(0, 1) && shared(1, 2) && shared(3, 4));
}

#[test]
fn a_name_that_no_topic_has_gets_no_session() {
    let long = "n".repeat(TOPIC_NAME_BYTES_MAX + 1);
    let mut sessions = sessions();
    let mut body = request(0, 0, &[(&long, &[0, 1])]);
    assert_eq!(sessions.complete(&mut body, false), Ok(0));
    assert_eq!(named(&body).len(), 2, "it is answered all the same");
    let mut body = request(0, 0, &[("a", &[0])]);
    let id = sessions.complete(&mut body, false).expect("opened");
    let mut next = request(id, 1, &[(&long, &[0])]);
    assert_eq!(sessions.complete(&mut next, false), Err(70));
    assert_eq!(sessions.counters.session_partitions(), 0);
}

#[test]
fn what_there_is_no_room_for_is_not_built_first() {
    let mut session = Session {
        id: 1,
        next_epoch: 1,
        by_id: false,
        parts: BTreeMap::new(),
        order: Vec::new(),
    };
    let all: Vec<i32> = (0..100).collect();
    let body = request(0, 0, &[("a", &all)]);
    assert!(!session.update(&body.topics, 10));
    assert_eq!(session.order.len(), 10);
    let known = request(0, 0, &[("a", &all[..10])]);
    assert!(session.update(&known.topics, 10), "nothing is added");
}
