//! `cargo xtask interop connect`: Kafka Connect with its connectors for files, alone and distributed, over a node; and MirrorMaker
//! 2 from Apache Kafka into a node and from the node into Kafka, where `--kafka` names one. What went in has to come out, once, also after a worker was stopped
//! and started again.

use crate::run::{self, checked, flag, only_flags, root, wait_until};
use crate::server::{self, Target};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long anything may take to come out at the other end; a worker alone needs ten seconds to start.
const PATIENCE: Duration = Duration::from_secs(120);
const LINES: u32 = 1000;

/// Where this runs.
struct Place {
    bootstrap: String,
    jars: String,
    directory: PathBuf,
}

/// Runs the subcommand.
pub fn run(args: &[String]) -> Result<(), String> {
    only_flags(args, &["--bootstrap", "--binary", "--jars", "--kafka"], &[])?;
    let cache = run::target_directory()?.join("interop/connect");
    let directory = cache.join("run");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    let jars = match flag::<String>(args, "--jars")? {
        Some(jars) => jars,
        None => crate::tools::fetch(&root().join("interop/connect"), &cache)?,
    };
    let target = Target::of(args, &cache.join("data"), 1, &[])?;
    let place = Place {
        bootstrap: target.bootstrap.clone(),
        jars,
        directory,
    };
    let ran = all(&place, flag(args, "--kafka")?);
    target.release().and(ran)
}

fn all(place: &Place, kafka: Option<String>) -> Result<(), String> {
    standalone(place)?;
    println!("connect: standalone ok, {LINES} lines from file to file");
    distributed(place)?;
    println!("connect: distributed ok, {LINES} lines, a stop, {LINES} more");
    match kafka {
        Some(kafka) => {
            for (way, from, to) in [
                ("into", &kafka, &place.bootstrap),
                ("out-of", &place.bootstrap, &kafka),
            ] {
                mirror(place, way, from, to)?;
                println!(
                    "connect: MirrorMaker {way} the node ok, {LINES} records and a group's offsets"
                );
            }
        }
        None => println!("connect: MirrorMaker skipped, it wants --kafka HOST:PORT"),
    }
    Ok(())
}

impl Place {
    fn write(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        let path = self.directory.join(name);
        std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(path)
    }

    fn java(&self, class: &str) -> Command {
        let mut java = Command::new("java");
        java.args([
            "-Xmx300m",
            "-XX:+UseSerialGC",
            "-cp",
            &format!("{}/*", self.jars),
        ]);
        java.arg(class).stdin(Stdio::null()).stderr(Stdio::null());
        java
    }

    /// A process that stays until it is stopped or dropped.
    fn start(&self, class: &str, args: &[&Path]) -> Result<Running, String> {
        let mut java = self.java(class);
        let child = java.args(args).stdout(Stdio::null()).spawn();
        child.map(Running).map_err(|e| format!("java: {e}"))
    }

    /// What a worker of any kind is told.
    fn worker(&self) -> String {
        let text = "org.apache.kafka.connect.storage.StringConverter";
        format!(
            "bootstrap.servers={}\nkey.converter={text}\nvalue.converter={text}\noffset.flush.interval.ms=1000\n\
             plugin.discovery=only_scan\n",
            self.bootstrap
        )
    }

    /// The configurations of a source and a sink, from one file over a topic to another file.
    fn connectors(&self, topic: &str) -> [Vec<(&'static str, String)>; 2] {
        let file = |ending: &str| self.directory.join(format!("{topic}.{ending}"));
        let class = |way: &str| format!("org.apache.kafka.connect.file.FileStream{way}Connector");
        let connector = |way: &str, file: PathBuf| {
            vec![
                ("name", format!("{topic}-{way}")),
                ("connector.class", class(way)),
                ("tasks.max", "1".to_owned()),
                ("file", file.display().to_string()),
            ]
        };
        let mut source = connector("Source", file("in"));
        let mut sink = connector("Sink", file("out"));
        source.push(("topic", topic.to_owned()));
        sink.push(("topics", topic.to_owned()));
        [source, sink]
    }

    /// Waits until the sink's file holds what the source's does.
    fn came_through(&self, topic: &str) -> Result<(), String> {
        let read = |ending: &str| std::fs::read(self.directory.join(format!("{topic}.{ending}")));
        let wanted = read("in").map_err(|e| format!("{topic}.in: {e}"))?;
        let there = || (read("out").ok()?.len() >= wanted.len()).then_some(());
        let came = wait_until(PATIENCE, there);
        match (came, read("out")) {
            (Some(()), Ok(out)) if out == wanted => Ok(()),
            (_, Ok(out)) => Err(format!(
                "{topic}: {} bytes came out of {}",
                out.len(),
                wanted.len()
            )),
            (_, Err(e)) => Err(format!("{topic}: nothing came out: {e}")),
        }
    }
}

/// A worker. It is stopped as its operator would, and never left behind.
struct Running(Child);

impl Running {
    fn stop(mut self) -> Result<(), String> {
        checked(Command::new("kill").args(["-TERM", &self.0.id().to_string()]))?;
        let ended = wait_until(PATIENCE, || self.0.try_wait().ok().flatten());
        ended.map(|_| ()).ok_or("a worker doesn't end".to_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn lines(from: u32) -> String {
    (from..from + LINES)
        .map(|n| format!("line {n}\n"))
        .collect()
}

fn standalone(place: &Place) -> Result<(), String> {
    place.write("alone.in", &lines(0))?;
    let offsets = place.directory.join("offsets");
    let own = format!(
        "{}listeners=http://127.0.0.1:0\noffset.storage.file.filename={}\n",
        place.worker(),
        offsets.display()
    );
    let worker = place.write("alone.properties", &own)?;
    let mut files = vec![worker];
    for (at, connector) in place.connectors("alone").iter().enumerate() {
        let text: String = connector
            .iter()
            .map(|(k, v)| format!("{k}={v}\n"))
            .collect();
        files.push(place.write(&format!("alone-{at}.properties"), &text)?);
    }
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let running = place.start("org.apache.kafka.connect.cli.ConnectStandalone", &files)?;
    place.came_through("alone")?;
    running.stop()
}

/// The workers keep what they know in compacted topics; a second life of the worker goes on where the first one was.
fn distributed(place: &Place) -> Result<(), String> {
    place.write("shared.in", &lines(0))?;
    let rest = server::free_addresses(1)?.remove(0);
    let mut own = format!(
        "{}listeners=http://{rest}\ngroup.id=workers\n",
        place.worker()
    );
    for what in ["offset", "config", "status"] {
        own.push_str(&format!(
            "{what}.storage.topic=connect-{what}\n{what}.storage.replication.factor=1\n"
        ));
    }
    let worker = place.write("shared.properties", &own)?;
    let class = "org.apache.kafka.connect.cli.ConnectDistributed";
    let running = place.start(class, &[&worker])?;
    for connector in place.connectors("shared") {
        let config = connector.iter().map(|(k, v)| (*k, v.as_str().into()));
        let config = serde_json::Value::Object(config.map(|(k, v)| (k.to_owned(), v)).collect());
        let body = serde_json::json!({ "name": connector[0].1, "config": config }).to_string();
        // Until it has found its group and read its topics the worker refuses.
        let made = || {
            post(&rest, "/connectors", &body)
                .ok()
                .filter(|code| *code == 201)
        };
        wait_until(PATIENCE, made).ok_or("the worker makes no connector")?;
    }
    place.came_through("shared")?;
    running.stop()?;
    let all = lines(0) + &lines(LINES);
    place.write("shared.in", &all)?;
    let running = place.start(class, &[&worker])?;
    place.came_through("shared")?;
    running.stop()
}

/// Posts JSON and returns the status of the answer.
fn post(address: &str, path: &str, body: &str) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    code.ok_or_else(|| std::io::Error::other("no status"))
}

/// Records and a group's offsets go from one cluster into another.
fn mirror(place: &Place, way: &str, from: &str, to: &str) -> Result<(), String> {
    let topic = format!("mirrored-{way}-{}", std::process::id());
    let group = format!("readers-{way}-{}", std::process::id());
    let mut producer = place.java("org.apache.kafka.tools.ConsoleProducer");
    producer.args(["--bootstrap-server", from, "--topic", &topic]);
    let mut producer = producer
        .stdin(Stdio::piped())
        .spawn()
        .map_err(|e| format!("java: {e}"))?;
    let mut stdin = producer.stdin.take().expect("it is piped");
    stdin
        .write_all(lines(0).as_bytes())
        .map_err(|e| format!("the producer: {e}"))?;
    drop(stdin);
    producer.wait().map_err(|e| format!("the producer: {e}"))?;
    consume(place, from, &topic, &group)?;

    let mut own = format!(
        "clusters=there,here\nthere.bootstrap.servers={from}\nhere.bootstrap.servers={to}\nthere->here.enabled=true\n\
         there->here.topics={topic}\nthere->here.groups={group}\nreplication.factor=1\nsync.group.offsets.enabled=true\n\
         emit.checkpoints.interval.seconds=2\nsync.group.offsets.interval.seconds=2\nrefresh.groups.interval.seconds=2\n"
    );
    for what in [
        "checkpoints.topic",
        "heartbeats.topic",
        "offset-syncs.topic",
        "offset.storage",
        "status.storage",
        "config.storage",
    ] {
        own.push_str(&format!("{what}.replication.factor=1\n"));
    }
    let file = place.write(&format!("mirror-{way}.properties"), &own)?;
    let running = place.start("org.apache.kafka.connect.mirror.MirrorMaker", &[&file])?;
    let mirrored = format!("there.{topic}");
    let mut out = consume(place, to, &mirrored, "checker")?;
    let mut wanted: Vec<String> = lines(0).lines().map(str::to_owned).collect();
    out.sort();
    wanted.sort();
    if out != wanted {
        return Err(format!(
            "{} of {} records were mirrored",
            out.len(),
            wanted.len()
        ));
    }
    let known = || {
        let mut tool = place.java("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand");
        tool.args(["--bootstrap-server", to, "--describe", "--group", &group]);
        let told = run::output(&mut tool).ok()?;
        told.contains(&mirrored).then_some(())
    };
    wait_until(PATIENCE, known).ok_or("the group's offsets didn't come")?;
    running.stop()
}

fn consume(place: &Place, from: &str, topic: &str, group: &str) -> Result<Vec<String>, String> {
    let mut tool = place.java("org.apache.kafka.tools.consumer.ConsoleConsumer");
    tool.args([
        "--bootstrap-server",
        from,
        "--topic",
        topic,
        "--group",
        group,
        "--from-beginning",
    ]);
    let most = LINES.to_string();
    let patience = PATIENCE.as_millis().to_string();
    tool.args(["--max-messages", &most, "--timeout-ms", &patience]);
    // A topic that appears later is found with the next look at the metadata.
    tool.args(["--command-property", "metadata.max.age.ms=1000"]);
    Ok(run::output(&mut tool)?.lines().map(str::to_owned).collect())
}
