//! Who waits for which answer.

use super::*;
use base::{Now, Term, WallMs};
use group::command::{Client, Heartbeat, JoinGroup};

/// More callers than answers are kept for nobody.
const CALLERS: u64 = 1_000;

struct Nobody;

impl crate::api::ReplySink for Nobody {
    fn reply(&self, _: u64, _: crate::api::Reply) {}
}

fn leading() -> Leading {
    let now = Now {
        mono: Mono(1),
        wall: WallMs(1),
    };
    let mut coordinator = Coordinator::new();
    coordinator.lead(Term(1), now, &Config::default());
    coordinator.leading.expect("it leads")
}

fn client(ticket: u64) -> Asker {
    let sink = std::sync::Arc::new(Nobody);
    Asker::Client(ReplyTo { sink, ticket })
}

#[test]
fn answers_whose_callers_are_gone_are_not_kept() {
    let mut leading = leading();
    let (safe, committed) = (RaftIndex(4), RaftIndex(5));
    leading.proposed(RaftIndex(5));
    for caller in 1..=CALLERS {
        leading.wait(caller, client(caller), Some(Mono(caller)));
        leading.answer(vec![(caller, Reply::Done)], true, safe, Mono(0));
        assert!(leading.safe_answers(safe, committed).is_empty());
    }
    assert_eq!(leading.overdue(Mono(CALLERS - 1)).len() as u64, CALLERS - 1);
    assert!(leading.answers.len() <= UNWANTED_KEPT + 2);
    assert_eq!(leading.safe_answers(committed, committed).len(), 1);
}

#[test]
fn only_what_was_written_for_itself_waits_for_all_copies() {
    let mut leading = leading();
    let (safe, committed) = (RaftIndex(4), RaftIndex(5));
    leading.proposed(RaftIndex(5));
    for caller in 1..=2 {
        leading.wait(caller, client(caller), None);
    }
    leading.answer(vec![(1, Reply::Done)], true, safe, Mono(9));
    leading.answer(vec![(2, Reply::Done)], false, safe, Mono(9));
    assert!(leading.safe_answers(safe, safe).is_empty());
    assert_eq!(leading.safe_answers(safe, committed).len(), 1);
    assert_eq!(leading.safe_answers(committed, committed).len(), 1);
}

#[test]
fn joins_that_wait_for_ever_turn_away_joins_and_nobody_else() {
    let join = Command::JoinGroup(JoinGroup {
        group: "g".to_owned(),
        member: String::new(),
        instance: None,
        client: Client::default(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        protocol_type: "consumer".to_owned(),
        protocols: Vec::new(),
        reason: None,
        requires_known_id: true,
        can_skip_assignment: false,
    });
    let beat = Command::Heartbeat(Heartbeat {
        group: "g".to_owned(),
        generation: 1,
        member: "m".to_owned(),
        instance: None,
    });
    let mut coordinators = Coordinators::default();
    assert!(coordinators.has_room(&join));
    coordinators.waiting = CALLERS_MAX;
    assert!(!coordinators.has_room(&join));
    assert!(coordinators.has_room(&beat));
}
