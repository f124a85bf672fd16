use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

struct Node(std::sync::Mutex<Option<String>>);

impl Probe for Node {
    fn not_ready(&self) -> Option<String> {
        self.0.lock().expect("no panic").clone()
    }
    fn families(&self) -> Asked<'_> {
        Box::pin(async { vec![Family::counter("a_total", "A.", 7u64)] })
    }
}

async fn get(node: Arc<Node>, path: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(serve(listener, node));
    let mut stream = TcpStream::connect(address).await.expect("listening");
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}

fn ready_node() -> Arc<Node> {
    Arc::new(Node(std::sync::Mutex::new(None)))
}

#[tokio::test]
async fn ready_tells_why_not() {
    let node = Arc::new(Node(std::sync::Mutex::new(Some(
        "waits for \"node 2\"".to_owned(),
    ))));
    let answer = get(Arc::clone(&node), "/health/ready").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(
        answer.contains(r#""reason":"waits for \"node 2\"""#),
        "{answer}"
    );
    assert!(
        get(Arc::clone(&node), "/health/live")
            .await
            .starts_with("HTTP/1.1 200")
    );
    *node.0.lock().expect("no panic") = None;
    assert!(get(node, "/health/ready").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let answer = get(ready_node(), "/metrics").await;
    assert!(
        answer.contains("content-type: text/plain; version=0.0.4"),
        "{answer}"
    );
    assert!(
        answer.ends_with("# TYPE a_total counter\na_total 7\n"),
        "{answer}"
    );
    let missing = get(ready_node(), "/nothing").await;
    assert!(missing.starts_with("HTTP/1.1 404"), "{missing}");
}

/// Where a node is asked that holds two connections.
async fn listening(silence_max: Duration) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let listener = Bounded::new(listener, 2, silence_max);
    tokio::spawn(async move { axum::serve(listener, router(ready_node())).await });
    address
}

#[tokio::test]
async fn silent_connections_end_and_make_room_for_a_health_check() {
    let address = listening(Duration::from_millis(50)).await;
    let mut silent = Vec::new();
    for begun in ["", "GET /health/li"] {
        let mut stream = TcpStream::connect(address).await.expect("listening");
        stream.write_all(begun.as_bytes()).await.expect("sent");
        silent.push(stream);
    }
    let mut check = TcpStream::connect(address).await.expect("it may wait");
    check.write_all(CHECK.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    check.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for mut stream in silent {
        let mut rest = Vec::new();
        // Ended by the node, with or without a word.
        let _ = soon(stream.read_to_end(&mut rest)).await;
    }
}

const CHECK: &str = "GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn a_request_that_comes_byte_by_byte_ends_as_well() {
    let silence_max = Duration::from_millis(50);
    let address = listening(silence_max).await;
    let mut stream = TcpStream::connect(address).await.expect("listening");
    stream
        .write_all(b"GET / HTTP/1.1\r\nA: ")
        .await
        .expect("sent");
    let mut said = [0; 256];
    // Never silent for as long as that would take to be ended.
    let ended = async {
        while let Err(_waits) = tokio::time::timeout(silence_max / 5, stream.read(&mut said)).await
        {
            if stream.write_all(b"a").await.is_err() {
                break;
            }
        }
    };
    soon(ended).await;
}

/// What would otherwise hang where the node doesn't do what is expected of it.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(Duration::from_secs(60), what).await;
    outcome.expect("it comes to an end")
}

#[tokio::test]
async fn a_health_check_takes_the_place_of_the_oldest_connection() {
    let address = listening(Duration::from_secs(3600)).await;
    let mut silent = Vec::new();
    for _ in 0..2 {
        silent.push(TcpStream::connect(address).await.expect("listening"));
    }
    let mut check = TcpStream::connect(address).await.expect("taken in");
    check.write_all(CHECK.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    check.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // The oldest is ended; the other one is still served.
    let mut rest = Vec::new();
    let _ = soon(silent[0].read_to_end(&mut rest)).await;
    let other = &mut silent[1];
    other.write_all(CHECK.as_bytes()).await.expect("sent");
    other.read_to_end(&mut rest).await.expect("an answer");
    assert!(rest.starts_with(b"HTTP/1.1 200"), "{rest:?}");
}

/// Counts who measures at once.
#[derive(Default)]
struct Crowd {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Probe for Crowd {
    fn not_ready(&self) -> Option<String> {
        None
    }
    fn families(&self) -> Asked<'_> {
        Box::pin(async {
            let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
            self.most.fetch_max(now, Ordering::Relaxed);
            tokio::task::yield_now().await;
            self.now.fetch_sub(1, Ordering::Relaxed);
            Vec::new()
        })
    }
}

#[tokio::test]
async fn one_measures_at_a_time() {
    let crowd = Arc::new(Crowd::default());
    let served = Arc::new(Served {
        probe: crowd.clone(),
        turn: Default::default(),
    });
    let scrape = || measure(State(Arc::clone(&served)));
    tokio::join!(scrape(), scrape(), scrape());
    assert_eq!(crowd.most.load(Ordering::Relaxed), 1);
}
