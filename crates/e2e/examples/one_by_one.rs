//! The time of a single request: one connection, one request of one batch of one record at a
//! time, `acks=all`, and a client that costs next to nothing. Usage:
//! `one_by_one BOOTSTRAP TOPIC PARTITIONS RECORDS RECORD_BYTES`. The batches go round the partitions, all of
//! which the one node must lead. What this is not: a producer; it looks nothing up and tries
//! nothing again.

use base::record::Builder;
use bytes::Bytes;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use wire_kafka::frame::{self, Frames};
use wire_kafka::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use wire_kafka::messages::produce_response::ProduceResponse;
use wire_kafka::{ApiKey, Reader};

/// The last version that names topics, so that none must be looked up.
const VERSION: i16 = 12;
/// Requests that aren't counted.
const WARM_UP: usize = 200;
/// Unknown topic, no leader, not the leader: what a new topic answers with for a moment.
const NOT_YET: [i16; 3] = [3, 5, 6];
/// Between two looks at it.
const PAUSE: Duration = Duration::from_millis(20);
const ANSWER_BYTES_MAX: u32 = 1024 * 1024;

#[expect(clippy::disallowed_methods, reason = "measures time")]
fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [bootstrap, topic, partitions, records, bytes] = args.as_slice() else {
        panic!("usage: one_by_one BOOTSTRAP TOPIC PARTITIONS RECORDS RECORD_BYTES");
    };
    let number = |text: &String| text.parse::<usize>().expect("a number");
    let (partitions, records) = (number(partitions), number(records));
    let value = vec![b'x'; number(bytes)];
    let mut stream = TcpStream::connect(bootstrap)?;
    stream.set_nodelay(true)?;
    let mut frames = Frames::new(ANSWER_BYTES_MAX);
    let mut times = Vec::with_capacity(records);
    let mut nth = 0;
    while nth < WARM_UP + records {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.expect("after 1970").as_millis() as i64;
        let mut batch = Builder::new(now);
        batch.push(now, None, Some(&value), &[]);
        let partition = PartitionProduceData {
            index: (nth % partitions) as i32,
            records: Some(batch.build().into()),
        };
        let request = ProduceRequest {
            acks: -1,
            timeout_ms: 30_000,
            topic_data: vec![TopicProduceData {
                name: topic.clone(),
                partition_data: vec![partition],
                ..Default::default()
            }],
            ..Default::default()
        };
        let pieces = frame::request(VERSION, nth as i32, Some("one-by-one"), &request);
        let start = Instant::now();
        stream.write_all(&pieces.concat())?;
        let answer = answer(&mut stream, &mut frames)?;
        let time = start.elapsed();
        let code = code(answer);
        if nth < WARM_UP && NOT_YET.contains(&code) {
            // The topic was made a moment ago. Who waits for ever is ended from outside.
            std::thread::sleep(PAUSE);
            continue;
        }
        assert_eq!(code, 0, "a record was refused");
        if nth >= WARM_UP {
            times.push(time);
        }
        nth += 1;
    }
    let total: f64 = times.iter().map(|time| time.as_secs_f64()).sum();
    times.sort();
    let millis = |thousandth: usize| times[records * thousandth / 1000].as_secs_f64() * 1e3;
    // As ProducerPerformance says it.
    println!(
        "{records} records sent, {:.1} records/sec, {:.3} ms 50th, {:.3} ms 99th, {:.3} ms 99.9th.",
        records as f64 / total,
        millis(500),
        millis(990),
        millis(999)
    );
    Ok(())
}

fn answer(stream: &mut TcpStream, frames: &mut Frames) -> io::Result<Bytes> {
    let mut scratch = [0; 4096];
    loop {
        if let Some(answer) = frames.next_frame().map_err(io::Error::other)? {
            return Ok(answer);
        }
        let count = stream.read(&mut scratch)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        frames.push(Bytes::copy_from_slice(&scratch[..count]));
    }
}

fn code(answer: Bytes) -> i16 {
    let mut reader = Reader::new(answer);
    frame::response_head(ApiKey::Produce, VERSION, &mut reader).expect("an answer's header");
    let answer = ProduceResponse::decode(VERSION, &mut reader).expect("an answer");
    answer.responses[0].partition_responses[0].error_code
}
