//! What a shard tells its operator.

use crate::Shard;
use std::fmt;

/// Something that an operator should read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// What goes on; with many like it, some may be left out.
    News(String),
    /// What was lost, is damaged, can't be relied upon or stops the work. None of these may be left out.
    Alarm(String),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Note::News(text) | Note::Alarm(text)) = self;
        f.write_str(text)
    }
}

impl Shard {
    /// Something for the operator to read.
    pub(crate) fn note(&mut self, text: String) {
        self.effects.notes.push(Note::News(text));
    }

    /// Something that the operator has to read.
    pub(crate) fn alarm(&mut self, text: String) {
        self.effects.notes.push(Note::Alarm(text));
    }
}
