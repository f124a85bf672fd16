use super::*;
use crate::messages::api_versions_request::ApiVersionsRequest;
use crate::messages::metadata_request::MetadataRequest;

fn stream(bodies: &[&[u8]]) -> Vec<u8> {
    let frame = |body: &&[u8]| [&(body.len() as u32).to_be_bytes(), *body].concat();
    bodies.iter().flat_map(frame).collect()
}

fn cut(frames: &mut Frames) -> Vec<Bytes> {
    std::iter::from_fn(|| frames.next_frame().expect("the lengths are allowed")).collect()
}

#[test]
fn frames_come_out_the_same_however_the_stream_is_split() {
    let large = vec![7u8; 3000];
    let bodies: [&[u8]; 5] = [b"one", b"", &large, b"x", b"last"];
    let whole = stream(&bodies);
    for size in [1, 2, 3, 5, 7, 64, 1000, 3002, whole.len()] {
        let mut frames = Frames::new(3000);
        let mut out = Vec::new();
        for chunk in whole.chunks(size) {
            frames.push(Bytes::copy_from_slice(chunk));
            out.extend(cut(&mut frames));
        }
        assert_eq!(out, bodies, "in chunks of {size}");
        assert_eq!(frames.buffered(), 0);
    }
}

#[test]
fn a_frame_within_one_read_is_not_copied() {
    let whole = Bytes::from(stream(&[b"abc", b"def"]));
    let mut frames = Frames::new(100);
    frames.push(whole.clone());
    let out = cut(&mut frames);
    assert_eq!(out.len(), 2);
    assert!(
        out.iter()
            .all(|f| whole.as_ptr_range().contains(&f.as_ptr()))
    );
}

/// Reads up to `most` bytes of a stream as a connection does: to the place of what has begun, or else
/// into a chunk.
fn read(frames: &mut Frames, stream: &mut &[u8], most: usize) {
    let filled = frames.fill(|rest| {
        let take = most.min(stream.len()).min(rest.remaining_mut());
        rest.put_slice(&stream[..take]);
        take
    });
    let take = filled.unwrap_or_else(|| {
        let take = most.min(stream.len());
        frames.push(Bytes::copy_from_slice(&stream[..take]));
        take
    });
    assert!(take > 0, "there is room for something");
    *stream = &stream[take..];
}

#[test]
fn frames_read_to_their_place_come_out_the_same() {
    let (large, larger) = (vec![7u8; 3000], vec![9u8; 70_000]);
    let bodies: [&[u8]; 6] = [b"one", b"", &large, b"x", &larger, b"last"];
    let whole = stream(&bodies);
    for most in [1, 3, 5, 7, 64, 1000, 3002, 4096, whole.len()] {
        let mut frames = Frames::new(100_000);
        let (mut left, mut out) = (&whole[..], Vec::new());
        while !left.is_empty() {
            read(&mut frames, &mut left, most);
            out.extend(cut(&mut frames));
        }
        assert_eq!(out, bodies, "{most} at once");
        assert_eq!(frames.buffered(), 0);
    }
}

#[test]
fn a_frame_of_several_reads_takes_no_more_memory_than_it_has_bytes() {
    let body = vec![7u8; 180_000];
    let whole = stream(&[&body]);
    let mut frames = Frames::new(1 << 20);
    let (mut left, mut out) = (&whole[..], Vec::new());
    while !left.is_empty() {
        read(&mut frames, &mut left, 32 * 1024);
        out.extend(cut(&mut frames));
        let arrived = whole.len() - left.len();
        let room = whole.len().min(arrived * ROOM_AHEAD);
        assert!(frames.partial.capacity() <= room, "after {arrived} bytes");
    }
    assert_eq!(out, [body]);
}

#[test]
fn a_length_out_of_range_is_refused_as_soon_as_it_is_there() {
    let mut frames = Frames::new(100);
    frames.push(Bytes::from_static(&[0, 0, 0]));
    assert_eq!(frames.next_frame(), Ok(None));
    frames.push(Bytes::from_static(&[101]));
    assert_eq!(
        frames.next_frame(),
        Err(FrameError::TooLarge {
            length: 101,
            max: 100
        })
    );
    let mut frames = Frames::new(u32::MAX);
    frames.push(Bytes::from_static(&[0xff; 4]));
    assert_eq!(frames.next_frame(), Err(FrameError::Negative(-1)));
}

#[test]
fn an_announced_length_reserves_nothing_by_itself() {
    let mut frames = Frames::new(1 << 30);
    frames.push(Bytes::from_static(&[0x3f, 0, 0, 0, 1, 2, 3]));
    assert_eq!(frames.next_frame(), Ok(None));
    assert!(
        frames.partial.capacity() < 1024,
        "{} bytes reserved",
        frames.partial.capacity()
    );
    assert_eq!(frames.buffered(), 7);
}

fn head_of(pieces: Vec<Bytes>) -> (RequestHead, Reader) {
    let mut reader = Reader::new(Bytes::from(pieces.concat()).slice(LENGTH_BYTES..));
    let head = RequestHead::decode(&mut reader).expect("the header is whole");
    (head, reader)
}

#[test]
fn a_request_is_read_behind_its_header_in_old_and_flexible_versions() {
    for version in MetadataRequest::VERSIONS {
        let request = MetadataRequest {
            topics: Some(vec![]),
            ..MetadataRequest::default()
        };
        let (head, mut reader) = head_of(super::request(version, 5, Some("me"), &request));
        assert_eq!((head.api, head.version), (Some(ApiKey::Metadata), version));
        assert_eq!(
            (head.correlation_id, head.client_id.as_deref()),
            (5, Some("me"))
        );
        let body = MetadataRequest::decode(version, &mut reader).expect("the body is whole");
        assert_eq!((body.topics, reader.remaining()), (Some(vec![]), 0));
    }
}

#[test]
fn unknown_apis_and_versions_can_still_be_answered() {
    let mut unknown = Writer::framed();
    [1000i16, 3].into_iter().for_each(|v| unknown.i16(v));
    unknown.i32(42);
    let (head, _) = head_of(unknown.finish());
    assert_eq!((head.key, head.api, head.correlation_id), (1000, None, 42));

    let (head, _) = head_of(super::request(
        99,
        43,
        Some("new"),
        &ApiVersionsRequest::default(),
    ));
    assert_eq!((head.api, head.version), (Some(ApiKey::ApiVersions), 99));
    assert_eq!(head.correlation_id, 43);
}

#[test]
fn a_header_that_is_cut_off_is_an_error() {
    for bytes in [
        &[][..],
        &[0, 3, 0, 1],
        &[0, 3, 0, 1, 0, 0, 0, 7, 0, 9, b'x'],
    ] {
        let mut reader = Reader::new(Bytes::copy_from_slice(bytes));
        assert!(RequestHead::decode(&mut reader).is_err(), "{bytes:?}");
    }
}

#[test]
fn header_versions_follow_the_api_and_its_two_exceptions() {
    assert_eq!(ApiKey::ControlledShutdown.request_header_version(0), 0);
    assert_eq!(ApiKey::ControlledShutdown.request_header_version(1), 1);
    assert_eq!(ApiKey::Produce.request_header_version(8), 1);
    assert_eq!(ApiKey::Produce.request_header_version(9), 2);
    assert_eq!(ApiKey::Produce.response_header_version(9), 1);
    assert_eq!(ApiKey::SaslHandshake.request_header_version(1), 1);
    assert_eq!(ApiKey::ApiVersions.request_header_version(3), 2);
    assert_eq!(ApiKey::ApiVersions.response_header_version(3), 0);
}

#[test]
fn every_api_is_found_by_its_key() {
    for api in ApiKey::all() {
        assert_eq!(ApiKey::from_code(api.code()), Some(*api));
    }
    assert_eq!(ApiKey::from_code(18).map(ApiKey::name), Some("ApiVersions"));
    assert_eq!(
        (ApiKey::from_code(-1), ApiKey::from_code(1000)),
        (None, None)
    );
    assert_eq!(ApiKey::InitProducerId.versions(), 0..=6);
    assert_eq!(ApiKey::InitProducerId.stable_versions(), 0..=5);
}
