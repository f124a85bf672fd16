//! What a log is when all of it is gone up to an entry: where an empty one begins that goes on after
//! it. A leader hands it to a follower that needs entries which are gone; what comes after is sent
//! as ever. All of it are facts about committed entries, so it never becomes untrue.
//!
//! The bytes are the same in the write-ahead log, described in `docs/formats/wal.md`, and between
//! nodes.

use crate::field::{Fields, put_count, put_i64, put_u32, put_u64};
use base::{Offset, RaftIndex, Term};

/// Bytes of a term's run.
pub(crate) const RUN_BYTES: usize = 20;

/// The entries of one term: where they begin. A term may have entries but no offset of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TermRun {
    /// The term.
    pub term: Term,
    /// Its first entry.
    pub index: RaftIndex,
    /// The end of the log before that entry.
    pub offset: Offset,
}

/// Where an empty log begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The last entry that is gone.
    pub index: RaftIndex,
    /// The first offset that can be read.
    pub start_offset: Offset,
    /// The offset after that entry: the next one to give.
    pub next_offset: Offset,
    /// The terms up to that entry that are still known, its own last.
    pub terms: Vec<TermRun>,
}

impl Origin {
    /// The term of the last entry that is gone.
    pub fn term(&self) -> Term {
        self.terms.last().map_or(Term(0), |run| run.term)
    }

    /// Appends its bytes.
    pub fn put(&self, out: &mut Vec<u8>) {
        put_u64(out, self.index.0);
        put_i64(out, self.start_offset.0);
        put_i64(out, self.next_offset.0);
        put_count(out, self.terms.len());
        self.terms.iter().for_each(|run| run.put(out));
    }

    /// Reads what [`Origin::put`] wrote at the front of `bytes`, and what comes after it; `None` if
    /// no log can begin like that.
    pub fn take(bytes: &[u8]) -> Option<(Origin, &[u8])> {
        let mut fields = Fields::new(bytes);
        let origin = Origin::read(&mut fields)?;
        Some((origin, &bytes[bytes.len() - fields.left()..]))
    }

    pub(crate) fn read(fields: &mut Fields<'_>) -> Option<Origin> {
        let origin = Origin {
            index: RaftIndex(fields.u64()?),
            start_offset: Offset(fields.i64()?),
            next_offset: Offset(fields.i64()?),
            terms: {
                let count = fields.count(RUN_BYTES)?;
                let runs = (0..count).map(|_| TermRun::read(fields));
                runs.collect::<Option<_>>()?
            },
        };
        origin.is_sound().then_some(origin)
    }

    fn is_sound(&self) -> bool {
        let ordered = self.terms.windows(2).all(|two| {
            two[0].term < two[1].term
                && two[0].index < two[1].index
                && two[0].offset <= two[1].offset
        });
        let terms = |run: &TermRun| run.term.0 > 0 && i32::try_from(run.term.0).is_ok();
        let last = |run: &TermRun| run.index <= self.index && run.offset <= self.next_offset;
        ordered
            && self.index < RaftIndex(u64::MAX)
            && Offset(0) <= self.start_offset
            && self.start_offset <= self.next_offset
            && self.terms.first().is_some_and(terms)
            && self.terms.last().is_some_and(|run| terms(run) && last(run))
    }
}

impl TermRun {
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        put_u32(out, self.term.0);
        put_u64(out, self.index.0);
        put_i64(out, self.offset.0);
    }

    pub(crate) fn read(fields: &mut Fields<'_>) -> Option<TermRun> {
        Some(TermRun {
            term: Term(fields.u32()?),
            index: RaftIndex(fields.u64()?),
            offset: Offset(fields.i64()?),
        })
    }
}
