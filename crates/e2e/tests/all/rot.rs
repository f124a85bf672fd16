//! A bit flipped anywhere in a directory: what is served is right, or nothing is. A node refuses
//! to start and names the file, refuses the read, or has the data from elsewhere.

use e2e::tool::{Done, offline};
use e2e::{Fleet, Scratch, Setup, Tool, http, replicas, wait};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Places in each file that are damaged, one at a time; `E2E_ROT_PLACES` asks for more.
const PLACES: usize = 5;
/// Lines sent with one request.
const CHUNK: usize = 60;

fn places_wanted() -> usize {
    let wanted = std::env::var("E2E_ROT_PLACES").ok();
    wanted.map_or(PLACES, |text| {
        text.parse().expect("E2E_ROT_PLACES is a number")
    })
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("readable").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path))
        } else {
            found.push(path)
        }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    for file in files(from) {
        let place = to.join(file.strip_prefix(from).expect("it lies below"));
        fs::create_dir_all(place.parent().expect("it has a folder")).expect("writable");
        fs::copy(&file, &place).expect("copied");
    }
}

/// A directory with records in it, by a node that was killed or stopped.
fn written(data: &Path, killed: bool) -> Vec<String> {
    let mut node = Setup::single(data).start();
    let tool = Tool::new(&node.kafka);
    tool.create("t", &["--partitions", "1"]);
    let lines: Vec<String> = (0..300)
        .map(|n| format!("line {n:03} {}", "y".repeat(n % 40)))
        .collect();
    lines
        .chunks(CHUNK)
        .for_each(|chunk| tool.produce("t", chunk));
    if killed {
        node.kill();
    } else {
        assert_eq!(node.stop().code(), Some(0));
    }
    lines
}

/// Places worth damaging: spread over the part of the file that isn't empty room.
fn places(bytes: &[u8]) -> Vec<usize> {
    let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    let wanted = places_wanted();
    let at = |i: usize| used.get(used.len() * (2 * i + 1) / (2 * wanted)).copied();
    let mut places: Vec<usize> = (0..wanted).filter_map(at).collect();
    places.dedup();
    places
}

fn damage_everywhere(name: &str, killed: bool) {
    let scratch = Scratch::new(name);
    let (sound, data) = (scratch.join("sound"), scratch.join("data"));
    let lines = written(&sound, killed);
    let mut tried = 0;
    for file in files(&sound) {
        let relative = file.strip_prefix(&sound).expect("it lies below").to_owned();
        // The lock's content means nothing.
        if relative == Path::new("lock") {
            continue;
        }
        for at in places(&fs::read(&file).expect("readable")) {
            copy(&sound, &data);
            let mut bytes = fs::read(&file).expect("readable");
            bytes[at] ^= 0x10;
            fs::write(data.join(&relative), bytes).expect("writable");
            judge(&data, &lines, killed, &relative, at);
            tried += 1;
        }
    }
    assert!(tried >= 10, "only {tried} places were damaged");
}

/// What the operator's tool says of a directory, which it leaves as it is.
fn verify(data: &Path) -> Done {
    let bytes = |data: &Path| -> Vec<Vec<u8>> {
        let all = files(data).into_iter();
        all.map(|file| fs::read(file).expect("readable")).collect()
    };
    let (named, before) = (files(data), bytes(data));
    let data_dir = data.to_string_lossy();
    let done = offline(&["log", "verify", "--data-dir", &data_dir]);
    assert!(
        named == files(data) && before == bytes(data),
        "it changed something"
    );
    done
}

fn judge(data: &Path, lines: &[String], killed: bool, file: &Path, at: usize) {
    let place = format!("{} byte {at}", file.display());
    let setup = Setup::single(data);
    let _ = fs::remove_file(setup.log());
    let verified = verify(data);
    let node = match setup.try_start() {
        Ok(node) => node,
        Err(refused) => {
            assert_ne!(
                refused.code, None,
                "{place}: it crashed: {}",
                refused.stderr
            );
            assert_ne!(refused.code, Some(0), "{place}: it ended without a word");
            assert_ne!(verified.code, Some(0), "{place}: verified as whole");
            let name = file.file_name().expect("a file").to_string_lossy();
            let named = refused.stderr.contains(name.as_ref());
            assert!(named, "{place}: the file isn't named: {}", refused.stderr);
            return;
        }
    };
    // What is whole is read however long it takes; what is damaged may be refused for ever.
    let patience = if verified.code == Some(0) { "60" } else { "2" };
    let done = Tool::new(&node.kafka).run(&["consume", "t", "--timeout", patience]);
    let read: Vec<&str> = done.stdout.lines().collect();
    if done.code == Some(0) {
        // The last write before a kill may be torn, and damage there looks the same: nothing
        // behind it tells that it was durable.
        let torn = killed && file.starts_with("wal") && read == lines[..lines.len() - CHUNK];
        let same = read == lines || torn;
        assert!(
            same,
            "{place}: {} of {} records, and no word of it",
            read.len(),
            lines.len()
        );
    } else {
        assert_eq!(verified.code, Some(1), "{place}: {}", verified.stdout);
        let prefix = lines.iter().zip(&read).all(|(line, read)| line == read);
        assert!(prefix, "{place}: damaged records were served");
    }
}

#[test]
fn a_flipped_bit_after_a_stop_is_never_served() {
    damage_everywhere("rot-stopped", false);
}

#[test]
fn a_flipped_bit_after_a_kill_is_never_served() {
    damage_everywhere("rot-killed", true);
}

/// What is found by nobody but the node itself, as it looks at everything, is made good by the others.
#[test]
fn a_flipped_bit_on_one_of_three_is_made_good() {
    let scratch = Scratch::new("rot-healed");
    let often = "replica.check.interval.ms=1000";
    let mut fleet = Fleet::start(scratch.path(), &["--set", often]);
    let tool = Tool::new(&fleet.bootstrap());
    tool.create("t", &["--partitions", "1", "--replicas", "3"]);
    let lines: Vec<String> = (0..300).map(|n| format!("line {n:03}")).collect();
    let (first, rest) = lines.split_at(200);
    tool.produce("t", first);
    tool.run(&["cluster", "health", "--wait"]).ok();
    // What is acknowledged goes to its segment a moment later.
    let (last, place) = (first[199].as_bytes(), scratch.join("node2"));
    let (segment, at) = wait::until("the records in a segment", || {
        let holds = |file: &PathBuf| {
            let bytes = fs::read(file).ok()?;
            bytes.windows(last.len()).position(|found| found == last)
        };
        let mut segments = files(&place.join("groups")).into_iter();
        segments.find_map(|file| holds(&file).map(|at| (file, at as u64)))
    });
    let rotten = fs::OpenOptions::new().write(true).open(&segment);
    let rotten = rotten.expect("it is there");
    rotten.write_all_at(b"L", at).expect("writable");

    let address = fleet.node(2).http.clone();
    wait::until("the replica to be made again", || {
        let (_, metrics) = http::get(&address, "/metrics")?;
        let renewed = metrics.contains("flotilla_renewed_replicas_total 1\n");
        let sound = metrics.contains("flotilla_damaged_replicas 0\n");
        (renewed && sound).then_some(())
    });
    tool.produce("t", rest);
    tool.run(&["cluster", "health", "--wait"]).ok();
    assert_eq!(tool.consume("t"), lines);
    fleet.settle("t").expect("all replicas have everything");
    let directories = fleet.stop().expect("in good order");
    assert_eq!(replicas::differences(&directories), Vec::<String>::new());
}
