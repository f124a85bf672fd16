//! A connection's answers come in the order of its requests, each once, and none for a request
//! that wants none.

use super::{Checked, violation};
use std::collections::{BTreeMap, VecDeque};

/// Requests that wait, by connection.
#[derive(Default)]
pub(crate) struct Answers {
    waiting: BTreeMap<u64, VecDeque<i32>>,
}

impl Answers {
    /// A request that wants an answer was sent.
    pub(crate) fn asked(&mut self, connection: u64, correlation: i32) {
        self.waiting
            .entry(connection)
            .or_default()
            .push_back(correlation);
    }

    /// The newest request, which was reported as asked, wants no answer.
    pub(crate) fn not_due(&mut self, connection: u64, correlation: i32) {
        let last = self
            .waiting
            .get_mut(&connection)
            .and_then(VecDeque::pop_back);
        assert_eq!(
            last,
            Some(correlation),
            "only the newest request is taken back"
        );
    }

    /// An answer came.
    pub(crate) fn answered(&mut self, connection: u64, correlation: i32) -> Checked {
        let expected = self
            .waiting
            .get_mut(&connection)
            .and_then(VecDeque::pop_front);
        if expected == Some(correlation) {
            return Ok(());
        }
        let what = format!("connection {connection}: {correlation} came, {expected:?} was due");
        Err(violation("answers come in the order of requests", what))
    }

    /// The connection is gone.
    pub(crate) fn closed(&mut self, connection: u64) {
        self.waiting.remove(&connection);
    }
}

#[cfg(test)]
mod tests {
    use super::Answers;

    #[test]
    fn an_answer_that_overtakes_or_that_nobody_asked_for_is_caught() {
        let mut answers = Answers::default();
        for correlation in 1..=3 {
            answers.asked(7, correlation);
        }
        assert_eq!(answers.answered(7, 1), Ok(()));
        assert!(answers.answered(7, 3).is_err());
        answers.closed(7);
        assert!(answers.answered(7, 2).is_err());
    }
}
