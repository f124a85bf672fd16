//! What is written reads back as the same, in every version.

use super::{decoded, dreamt, encoded, every_message};
use crate::Message;
use crate::messages::fetch_request::{FetchRequest, ReplicaState};
use base::Random;

fn round_trip<M: Message>() {
    let mut random = Random::new(7);
    for version in M::VERSIONS {
        for _ in 0..40 {
            let message: M = dreamt(version, &mut random);
            let bytes = encoded(&message, version);
            let back: M = decoded(&bytes, version);
            assert_eq!(back, message, "{} v{version}", M::NAME);
            assert_eq!(encoded(&back, version), bytes, "{} v{version}", M::NAME);
        }
    }
}

#[test]
fn every_message_reads_back_in_every_version() {
    macro_rules! check {
        ($module:ident, $name:ident) => {
            round_trip::<crate::messages::$module::$name>();
        };
    }
    every_message!(check);
}

#[test]
fn a_default_message_reads_back_in_every_version() {
    macro_rules! check {
        ($module:ident, $name:ident) => {
            type M = crate::messages::$module::$name;
            for version in M::VERSIONS {
                let bytes = encoded(&M::default(), version);
                let back: M = decoded(&bytes, version);
                assert_eq!(encoded(&back, version), bytes, "{} v{version}", M::NAME);
            }
        };
    }
    macro_rules! scoped {
        ($module:ident, $name:ident) => {{
            check!($module, $name);
        }};
    }
    every_message!(scoped);
}

#[test]
fn fields_that_a_version_lacks_are_left_out_and_read_as_their_default() {
    let request = FetchRequest {
        replica_id: 3,
        replica_state: ReplicaState {
            replica_id: 4,
            replica_epoch: 5,
        },
        rack_id: "rack".into(),
        ..FetchRequest::default()
    };
    let old: FetchRequest = decoded(&encoded(&request, 4), 4);
    assert_eq!((old.replica_id, old.rack_id.as_str()), (3, ""));
    assert_eq!(
        old.replica_state,
        ReplicaState {
            replica_id: -1,
            replica_epoch: -1
        }
    );
    let new: FetchRequest = decoded(&encoded(&request, 18), 18);
    assert_eq!((new.replica_id, new.rack_id.as_str()), (-1, "rack"));
    assert_eq!(new.replica_state, request.replica_state);
}
