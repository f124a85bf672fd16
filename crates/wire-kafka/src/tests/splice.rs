//! Large byte fields leave as they came: the pieces of an answer are the very slices that were
//! put in.

use crate::messages::fetch_response::{FetchResponse, FetchableTopicResponse, PartitionData};
use crate::messages::produce_request::ProduceRequest;
use crate::{ApiKey, Piece, Reader, Records, frame};
use base::Batch;
use base::batch::HEADER_BYTES;
use bytes::Bytes;

fn batch(body: &Bytes) -> Batch {
    let mut head = [0u8; HEADER_BYTES];
    head[8..12].copy_from_slice(&((HEADER_BYTES - 12 + body.len()) as i32).to_be_bytes());
    head[16] = 2;
    Batch::from_parts(head, body.clone()).expect("the length fits")
}

fn answer(records: Vec<Records>) -> FetchResponse {
    let partition = |(i, records)| PartitionData {
        partition_index: i as i32,
        records: Some(records),
        ..PartitionData::default()
    };
    FetchResponse {
        responses: vec![FetchableTopicResponse {
            topic: "t".into(),
            partitions: records.into_iter().enumerate().map(partition).collect(),
            ..FetchableTopicResponse::default()
        }],
        ..FetchResponse::default()
    }
}

#[test]
fn a_fetch_answer_shares_the_records_and_reads_back_whole() {
    let (a, b) = (Bytes::from(vec![1u8; 4000]), Bytes::from(vec![2u8; 5000]));
    let body = Bytes::from(vec![3u8; 6000]);
    let mut mixed = Records::from(vec![a.clone(), b.clone()]);
    mixed.push(Piece::Batch(batch(&body)));
    let small = Records::from(Bytes::from_static(b"small"));
    for version in [0, 4, 11, 12, 18] {
        let response = answer(vec![mixed.clone(), Records::EMPTY, small.clone()]);
        let pieces = frame::respond(ApiKey::Fetch, version, 77, &response);
        for slice in [&a, &b, &body] {
            assert!(
                pieces
                    .iter()
                    .any(|p| p.as_ptr() == slice.as_ptr() && p.len() == slice.len()),
                "v{version} copied records"
            );
        }
        let copied: usize = pieces.iter().map(Bytes::len).sum::<usize>() - 15_000;
        assert!(
            copied < 400,
            "v{version} has {copied} bytes beside the records"
        );
        let stream: Bytes = pieces.concat().into();
        assert_eq!(stream[..4], ((stream.len() - 4) as u32).to_be_bytes());
        let mut reader = Reader::new(stream.slice(4..));
        assert_eq!(
            frame::response_head(ApiKey::Fetch, version, &mut reader),
            Ok(77)
        );
        let back = FetchResponse::decode(version, &mut reader).expect("it was just written");
        let got = |i: usize| {
            back.responses[0].partitions[i]
                .records
                .as_ref()
                .map(Records::to_bytes)
        };
        assert_eq!(
            got(0),
            Some([a.as_ref(), &b, batch(&body).head(), &body].concat().into())
        );
        assert_eq!(got(1), Some(Bytes::new()));
        assert_eq!(got(2), Some(Bytes::from_static(b"small")));
    }
}

#[test]
fn the_records_of_a_decoded_request_are_slices_of_its_frame() {
    use crate::messages::produce_request::{PartitionProduceData, TopicProduceData};
    let request = ProduceRequest {
        topic_data: vec![TopicProduceData {
            name: "t".into(),
            partition_data: vec![PartitionProduceData {
                index: 0,
                records: Some(Bytes::from(vec![9u8; 1000]).into()),
            }],
            ..TopicProduceData::default()
        }],
        ..ProduceRequest::default()
    };
    let frame = super::encoded(&request, 9);
    let back: ProduceRequest = super::decoded(&frame, 9);
    let records = back.topic_data[0].partition_data[0]
        .records
        .as_ref()
        .expect("not null");
    assert!(
        frame.as_ptr_range().contains(&records.to_bytes().as_ptr()),
        "the records were copied"
    );
}
