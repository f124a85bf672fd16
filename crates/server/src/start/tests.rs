use super::*;
use crate::cluster::Voter;
use crate::scratch::Scratch;

fn member(nodes: u32) -> Identity {
    let voter = |n: u32| Voter {
        node: NodeId(n),
        incarnation: Uuid([n as u8; 16]),
        address: format!("host{n}:9192"),
    };
    let mut identity = Identity::new(NodeId(1), Uuid([1; 16]));
    identity.cluster = Some(Cluster {
        id: Uuid([9; 16]),
        voters: (1..=nodes).map(voter).collect(),
    });
    identity
}

#[test]
fn a_member_without_its_log_does_not_take_its_old_place() {
    let scratch = Scratch::new();
    let settings = Settings::parse::<&str, &str>(&[]).expect("defaults");
    let open = || {
        let (_, recovered) = recover(Arc::new(scratch.disk()), &settings).expect("it opens");
        recovered
    };
    let empty = Identity::new(NodeId(1), Uuid([1; 16]));
    let first = open();
    refuse_erased(&empty, &first).expect("no cluster yet");
    refuse_erased(&member(1), &first).expect("alone, and stopped before its log was begun");
    refuse_erased(&member(3), &open()).expect("the log is there");
    let disk = scratch.disk();
    for dir in ["wal", "groups"] {
        disk.remove_dir(dir).expect("there");
    }
    let erased = open();
    let mut grown = member(1);
    grown.grown = true;
    for identity in [member(3), grown] {
        let refused = refuse_erased(&identity, &erased).expect_err("it forgot its votes");
        assert!(refused.to_string().contains("its log is gone"), "{refused}");
    }
}

#[test]
fn a_member_of_several_listens_to_them_whomever_it_names() {
    let check = |pairs: &[(&str, &str)], nodes: u32| {
        let settings = Settings::parse(pairs).expect("keys that exist");
        check_peers(&settings, member(nodes).cluster.as_ref())
    };
    check(&[], 1).expect("alone");
    check(&[("peers", "2@b:1,1@a:1")], 2).expect("the same nodes, wherever they are now");
    check(&[("peers", "1@a:1,4@c:1")], 3).expect("others are there now");
    check(&[("peer.listener", "a:1")], 3).expect("it knows them from its directory");
    let refused = check(&[], 2).expect_err("nobody could reach it");
    assert_eq!(refused.exit_code(), crate::stop::EXIT_USAGE, "{refused}");
}
