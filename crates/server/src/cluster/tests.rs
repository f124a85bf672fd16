use super::*;
use crate::scratch::Scratch;

const FIRST: Uuid = Uuid([1; 16]);
const SECOND: Uuid = Uuid([2; 16]);

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
fn an_empty_directory_gets_an_identity_that_stays() {
    let scratch = Scratch::new();
    let disk = scratch.disk();
    let made = Identity::open(&disk, NodeId(3), FIRST).expect("empty");
    assert_eq!((made.node, made.incarnation), (NodeId(3), FIRST));
    let mut again = Identity::open(&disk, NodeId(3), SECOND).expect("there");
    assert_eq!(again, made);
    again.cluster = Some(cluster());
    again.write(&disk).expect("room");
    assert_eq!(
        Identity::open(&disk, NodeId(3), SECOND).expect("there"),
        again
    );
}

#[test]
fn another_nodes_directory_is_refused_by_both_names() {
    let scratch = Scratch::new();
    let disk = scratch.disk();
    Identity::open(&disk, NodeId(3), FIRST).expect("empty");
    let refused = Identity::open(&disk, NodeId(4), FIRST)
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
        Identity::open(&disk, NodeId(1), FIRST),
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
        let refused = Identity::open(&disk, NodeId(1), FIRST);
        assert!(
            matches!(refused, Err(IdentityError::Damaged(_))),
            "{text}: {refused:?}"
        );
    }
    put("{\"version\":2,\"body\":\"unknown\"}");
    let refused = Identity::open(&disk, NodeId(1), FIRST);
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
