//! The checkpoint: what the write-ahead log may forget, in one file that is replaced whole.
//!
//! The shard makes the body ([`checkpoint`]) at the end of a turn; the flusher writes it once the
//! segments it speaks of are synced.

use crate::field::{put_sized, put_u32, put_u64};
use crate::group::GroupLog;
use crate::turn::HardState;
use base::{Bug, RaftIndex, planted};
use bytes::Bytes;

/// Makes the body of a checkpoint: every group with its state and the shard's own bytes (which
/// stand for everything up to the index beside them), and the shard's own bytes for itself.
pub fn checkpoint<'a>(
    groups: impl Iterator<Item = (&'a GroupLog, HardState, Bytes, RaftIndex)>,
    blob: &[u8],
) -> Bytes {
    let mut out = Vec::new();
    put_sized(&mut out, blob);
    let count_at = out.len();
    put_u32(&mut out, 0);
    let mut count = 0u32;
    for (log, state, app, app_index) in groups {
        log.checkpoint(&mut out);
        put_state(&mut out, state);
        put_sized(&mut out, &app);
        put_u64(&mut out, app_index.0);
        count += 1;
    }
    out[count_at..count_at + 4].copy_from_slice(&count.to_le_bytes());
    out.into()
}

pub(crate) fn put_state(out: &mut Vec<u8>, state: HardState) {
    let vote = state.vote.filter(|_| !planted(Bug::CheckpointWithoutVotes));
    put_u32(out, state.term.0);
    put_u32(out, vote.map_or(0, |node| node.0));
    put_u64(out, state.commit.0);
}
