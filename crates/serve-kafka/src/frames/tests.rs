//! Frames however they are cut, and lengths that can't be.

use super::*;

fn framed(frames: &[&[u8]]) -> Vec<u8> {
    let mut stream = Vec::new();
    for frame in frames {
        stream.extend_from_slice(&(frame.len() as i32).to_be_bytes());
        stream.extend_from_slice(frame);
    }
    stream
}

fn drain(frames: &mut Frames) -> Vec<Bytes> {
    std::iter::from_fn(|| frames.next().unwrap()).collect()
}

#[test]
fn every_split_gives_the_same_frames() {
    let sent: [&[u8]; 4] = [b"first", b"", b"x", b"the last and longest one"];
    let stream = framed(&sent);
    for a in 0..=stream.len() {
        for b in a..=stream.len() {
            let mut frames = Frames::new(100);
            let mut got = Vec::new();
            for part in [&stream[..a], &stream[a..b], &stream[b..]] {
                frames.push(Bytes::copy_from_slice(part));
                got.extend(drain(&mut frames));
            }
            assert_eq!(got, sent);
            assert_eq!(frames.pending_bytes(), 0);
        }
    }
}

#[test]
fn a_half_frame_waits_and_is_counted() {
    let mut frames = Frames::new(100);
    frames.push(Bytes::from_static(&[0, 0, 0, 5, 1, 2]));
    assert_eq!(frames.next(), Ok(None));
    assert_eq!(frames.pending_bytes(), 6);
    frames.push(Bytes::from_static(&[3, 4, 5, 0]));
    assert_eq!(frames.next(), Ok(Some(Bytes::from_static(&[1, 2, 3, 4, 5]))));
    assert_eq!(frames.next(), Ok(None));
    assert_eq!(frames.pending_bytes(), 1);
}

#[test]
fn lengths_out_of_range_are_told_before_anything_is_gathered() {
    for (length, prefix) in [(-1i32, 4), (101, 4), (i32::MAX, 4), (i32::MIN, 4), (101, 2)] {
        let mut frames = Frames::new(100);
        let bytes = length.to_be_bytes();
        frames.push(Bytes::copy_from_slice(&bytes[..prefix]));
        if prefix < 4 {
            assert_eq!(frames.next(), Ok(None));
            frames.push(Bytes::copy_from_slice(&bytes[prefix..]));
        }
        assert_eq!(frames.next(), Err(BadLength { length, limit: 100 }));
    }
}

#[test]
fn a_small_frame_does_not_keep_a_large_chunk() {
    let stream = Bytes::from(framed(&[b"small", &[7; 1000]]));
    let chunk = stream.as_ptr_range();
    let mut frames = Frames::new(10_000);
    frames.push(stream.clone());
    let got = drain(&mut frames);
    assert!(!chunk.contains(&got[0].as_ptr()));
    assert!(chunk.contains(&got[1].as_ptr()), "a large frame is shared, not copied");
}
