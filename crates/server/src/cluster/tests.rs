use super::*;
use crate::scratch::Scratch;

const INCARNATION: Uuid = Uuid([1; 16]);

fn cluster() -> Cluster {
    let voter = |n: u32| Voter {
        node: NodeId(n),
        incarnation: Uuid([n as u8; 16]),
        address: format!("host{n}:9192"),
    };
    Cluster {
        id: Uuid([9; 16]),
        voters: vec![voter(1), voter(2)],
    }
}

#[test]
fn an_identity_once_written_stays() {
    let scratch = Scratch::new();
    let disk = scratch.disk();
    assert_eq!(Identity::read(&disk, NodeId(3)).expect("readable"), None);
    let mut made = Identity::new(NodeId(3), INCARNATION);
    made.write(&disk).expect("room");
    let read = Identity::read(&disk, NodeId(3)).expect("readable");
    assert_eq!(read.as_ref(), Some(&made));
    made.cluster = Some(cluster());
    made.write(&disk).expect("room");
    assert_eq!(
        Identity::read(&disk, NodeId(3)).expect("readable"),
        Some(made)
    );
}

#[test]
fn another_nodes_directory_is_refused_by_both_names() {
    let scratch = Scratch::new();
    let disk = scratch.disk();
    Identity::new(NodeId(3), INCARNATION)
        .write(&disk)
        .expect("room");
    let refused = Identity::read(&disk, NodeId(4))
        .expect_err("not its own")
        .to_string();
    assert!(
        refused.contains("belongs to node 3, but node.id is 4"),
        "{refused}"
    );
}

#[test]
fn data_without_an_identity_is_not_taken_over() {
    let scratch = Scratch::new();
    let disk = scratch.disk();
    disk.create_dir("wal").expect("made");
    assert!(matches!(
        Identity::read(&disk, NodeId(1)),
        Err(IdentityError::Lost)
    ));
}

#[test]
fn a_damaged_or_newer_file_is_named() {
    let scratch = Scratch::new();
    let disk = scratch.disk();
    let put = |text: &str| {
        let file = disk.open(FILE, Open::OrCreate).expect("made");
        file.set_len(0).expect("cut");
        file.write_at(&[text.as_bytes()], 0).expect("written");
    };
    for text in [
        "",
        "{",
        "{\"version\":1}",
        "{\"version\":1,\"node\":1,\"incarnation\":\"x\"}",
    ] {
        put(text);
        let refused = Identity::read(&disk, NodeId(1));
        assert!(
            matches!(refused, Err(IdentityError::Damaged(_))),
            "{text}: {refused:?}"
        );
    }
    put("{\"version\":2,\"body\":\"unknown\"}");
    let refused = Identity::read(&disk, NodeId(1));
    assert!(
        matches!(refused, Err(IdentityError::Newer { found: 2 })),
        "{refused:?}"
    );
}

#[test]
fn an_erased_directory_is_not_listed() {
    let cluster = cluster();
    assert!(cluster.lists(NodeId(2), Uuid([2; 16])));
    assert!(!cluster.lists(NodeId(2), Uuid([7; 16])));
    assert!(!cluster.lists(NodeId(3), Uuid([2; 16])));
}
