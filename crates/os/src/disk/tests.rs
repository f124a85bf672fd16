use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A directory of its own for each test, gone afterwards.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new(name: &str) -> TempDir {
        let name = format!("flotilla-os-{name}-{:016x}", crate::entropy::bits());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("the directory for temporary files can be written");
        TempDir(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn disk(name: &str) -> (TempDir, DataDir) {
    let temp = TempDir::new(name);
    let disk = DataDir::open(&temp.path().join("data")).expect("a fresh directory");
    (temp, disk)
}

#[test]
fn pieces_are_written_one_after_the_other_however_many() {
    let (_temp, disk) = disk("pieces");
    let file = disk.open("a", Open::OrCreate).expect("made");
    // More pieces than one call of the kernel takes, and empty ones among them.
    let bytes: Vec<Vec<u8>> = (0..3000u32)
        .map(|n| vec![n as u8; (n % 7) as usize])
        .collect();
    let pieces: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
    file.write_at(&pieces, 10).expect("written");
    let whole: Vec<u8> = bytes.concat();
    assert_eq!(file.len().expect("asked"), 10 + whole.len() as u64);
    let mut back = vec![0xff; whole.len() + 10];
    file.read_at(&mut back, 0).expect("read");
    assert_eq!(back[..10], [0; 10]);
    assert!(
        back[10..] == whole[..],
        "the pieces came back in another order"
    );
}

#[test]
fn reading_past_the_end_is_an_error_also_for_the_part_that_is_there() {
    let (_temp, disk) = disk("eof");
    let file = disk.open("a", Open::OrCreate).expect("made");
    file.write_at(&[b"abc"], 0).expect("written");
    let mut buf = [0; 4];
    let error = file.read_at(&mut buf, 0).expect_err("too short");
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    if let Err(error) = file.read_at_cached(&mut buf, 0) {
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }
}

#[test]
fn a_cached_read_gives_the_bytes_or_says_that_it_would_wait() {
    let (_temp, disk) = disk("cached");
    let file = disk.open("a", Open::OrCreate).expect("made");
    let bytes = vec![7; 100_000];
    file.write_at(&[&bytes], 0).expect("written");
    let mut buf = vec![0; 100_000];
    // Just written, so in memory; only a filesystem without the feature says false.
    if file.read_at_cached(&mut buf, 0).expect("read") {
        assert!(buf == bytes, "other bytes came back");
    }
}

#[test]
fn preallocation_fills_with_zeros_and_keeps_what_was_there() {
    let (_temp, disk) = disk("prealloc");
    let file = disk.open("a", Open::OrCreate).expect("made");
    file.write_at(&[b"head"], 0).expect("written");
    let len = 3 * 1024 * 1024 + 17;
    file.preallocate(len).expect("room for 3 MiB");
    assert_eq!(file.len().expect("asked"), len);
    let mut back = vec![1; len as usize];
    file.read_at(&mut back, 0).expect("read");
    assert_eq!(&back[..4], b"head");
    assert!(
        back[4..].iter().all(|b| *b == 0),
        "something else than zeros"
    );
    // Already longer: nothing is cut.
    file.preallocate(10).expect("nothing to do");
    assert_eq!(file.len().expect("asked"), len);
}

#[test]
fn opening_a_missing_file_fails_unless_it_may_be_made() {
    let (_temp, disk) = disk("open");
    let missing = disk.open("a", Open::Existing).err().expect("missing");
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    disk.open("a", Open::OrCreate)
        .expect("made")
        .write_at(&[b"x"], 0)
        .expect("written");
    let again = disk.open("a", Open::OrCreate).expect("opened");
    assert_eq!(again.len().expect("asked"), 1, "opening must not truncate");
    assert_eq!(
        disk.remove("b").expect_err("missing").kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn names_are_listed_sorted_renamed_over_and_removed() {
    let (_temp, disk) = disk("names");
    disk.create_dir("groups/7").expect("made");
    for (name, content) in [("groups/7/b", "B"), ("groups/7/a", "A")] {
        let file = disk.open(name, Open::OrCreate).expect("made");
        file.write_at(&[content.as_bytes()], 0).expect("written");
        file.sync_data().expect("synced");
    }
    disk.sync_dir("groups/7").expect("synced");
    assert_eq!(disk.list("groups/7").expect("listed"), ["a", "b"]);
    disk.rename("groups/7/b", "groups/7/a").expect("renamed");
    let mut buf = [0; 1];
    disk.open("groups/7/a", Open::Existing)
        .expect("there")
        .read_at(&mut buf, 0)
        .expect("read");
    assert_eq!(&buf, b"B");
    disk.remove_dir("groups").expect("removed");
    assert_eq!(disk.list("").expect("listed"), ["trash"]);
    assert!(disk.list("groups").is_err());
}

#[test]
fn no_path_leads_out_of_the_directory() {
    let (_temp, disk) = disk("out");
    for path in ["../x", "/etc/passwd", "groups/../../x"] {
        let refused = disk.open(path, Open::OrCreate).err().expect("refused");
        assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{path}");
    }
}

#[test]
fn free_room_is_known() {
    let (_temp, disk) = disk("free");
    assert!(disk.free_bytes().expect("asked") > 0);
}

#[test]
fn many_files_are_synced_together() {
    let (_temp, disk) = disk("many");
    let counted: Vec<Arc<OnlySyncs>> = (0..20).map(|_| Arc::default()).collect();
    let files: Vec<Arc<dyn File>> = counted.iter().map(|f| Arc::clone(f) as _).collect();
    let syncs = || -> Vec<usize> {
        let each = counted.iter();
        each.map(|file| file.syncs.load(Ordering::SeqCst)).collect()
    };
    disk.sync_many(&[]).expect("nothing to do");
    assert_eq!(syncs(), [0; 20]);
    disk.sync_many(&files[..1]).expect("one");
    assert_eq!((syncs()[0], syncs()[1..].iter().sum::<usize>()), (1, 0));
    disk.sync_many(&files[1..]).expect("the others");
    assert_eq!(syncs(), [1; 20]);
}

/// A file of which nothing but its sync is used, which may fail.
#[derive(Default)]
struct OnlySyncs {
    syncs: AtomicUsize,
    fails: bool,
}

impl File for OnlySyncs {
    fn len(&self) -> io::Result<u64> {
        Ok(0)
    }
    fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }
    fn read_at_cached(&self, _: &mut [u8], _: u64) -> io::Result<bool> {
        Ok(false)
    }
    fn write_at(&self, _: &[&[u8]], _: u64) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }
    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }
    fn preallocate(&self, _: u64) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }
    fn sync_data(&self) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        match self.fails {
            true => Err(ErrorKind::Other.into()),
            false => Ok(()),
        }
    }
}

#[test]
fn one_failed_sync_among_many_is_the_outcome_wherever_it_stands() {
    let (_temp, disk) = disk("failed");
    for place in 0..8 {
        let mut files: Vec<Arc<dyn File>> = Vec::new();
        for n in 0..8 {
            let good = || disk.open(&n.to_string(), Open::OrCreate).expect("made");
            let broken = || OnlySyncs {
                fails: true,
                ..OnlySyncs::default()
            };
            files.push(if n == place {
                Arc::new(broken())
            } else {
                good()
            });
        }
        let failed = disk.sync_many(&files).expect_err("one is broken");
        assert_eq!(failed.0, place);
    }
}

#[test]
fn every_directory_on_the_way_is_made_and_its_name_is_to_be_synced() {
    let temp = TempDir::new("way");
    let root = temp.path().join("a/b/c");
    let parents = [
        temp.path().join("a/b"),
        temp.path().join("a"),
        temp.path().to_owned(),
    ];
    assert_eq!(parents_of_missing(&root), parents);
    DataDir::open(&root).expect("made");
    assert!(parents_of_missing(&root).is_empty());
    assert_eq!(
        parents_of_missing(Path::new("no-such-dir")),
        [Path::new(".")]
    );
}

#[test]
fn a_journal_takes_sectors_and_bits_of_them_and_gives_back_both() {
    let (_temp, disk) = disk("journal");
    let made = disk.open("a", Open::OrCreate).expect("made");
    made.preallocate(4 << 20).expect("there is room");
    let file = disk.open_journal("a").expect("it is there");
    // More than is gathered for one write, cut where no sector ends.
    let sectors: Vec<u8> = (0..(2 << 20) + 1024u32).map(|n| (n / 7) as u8).collect();
    let (head, rest) = sectors.split_at(100_001);
    file.write_at(&[head, &[], rest], 512).expect("written");
    file.write_at(&[b"abc"], 700).expect("written");
    file.sync_data().expect("synced");
    let mut whole = sectors;
    whole[188..191].copy_from_slice(b"abc");
    for file in [file, disk.open("a", Open::Existing).expect("it is there")] {
        let mut back = vec![0xff; whole.len()];
        file.read_at(&mut back, 512).expect("read");
        assert!(back == whole, "other bytes came back");
        assert_eq!(file.len().expect("asked"), 4 << 20);
    }
    let missing = disk.open_journal("b").map(drop).expect_err("not there");
    assert_eq!(missing.kind(), ErrorKind::NotFound);
}

#[test]
fn a_directory_on_another_filesystem_is_not_synced_with_the_rest() {
    let (_temp, disk) = disk("below");
    disk.create_dir("here").expect("made");
    let can = disk
        .sync_below("here", FILES_AT_ONCE_MIN)
        .expect("nothing fails");
    let missing = disk
        .sync_below("missing", FILES_AT_ONCE_MIN)
        .map_err(|e| e.kind());
    assert!(missing == Err(ErrorKind::NotFound) || !can);
    // Another filesystem, as every Linux has it.
    std::os::unix::fs::symlink("/proc", disk.root().join("there")).expect("made");
    assert!(
        !disk
            .sync_below("there", FILES_AT_ONCE_MIN)
            .expect("nothing fails")
    );
    let few = disk.sync_below("here", FILES_AT_ONCE_MIN - 1);
    assert!(!few.expect("nothing fails"), "a few are synced one by one");
}
