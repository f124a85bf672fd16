//! Parts refused here, put in their places among the shard's answers.

use base::{Offset, Refusal};
use shard::{Appended, OffsetAnswer, ReadAnswer, Reply, ReplySink, ReplyTo};
use std::marker::PhantomData;
use std::sync::Arc;

/// The answer to one part of a call, and the reply that holds a list of them.
pub(crate) trait PartReply: Sized + Send + Sync + 'static {
    /// The reply with these parts.
    fn reply(parts: Vec<Result<Self, Refusal>>) -> Reply;
    /// The parts of a reply; any other reply comes back as it was.
    fn parts(reply: Reply) -> Result<Vec<Result<Self, Refusal>>, Box<Reply>>;
}

macro_rules! part_reply {
    ($part:ty, $reply:ident) => {
        impl PartReply for $part {
            fn reply(parts: Vec<Result<Self, Refusal>>) -> Reply {
                Reply::$reply(parts)
            }

            fn parts(reply: Reply) -> Result<Vec<Result<Self, Refusal>>, Box<Reply>> {
                match reply {
                    Reply::$reply(parts) => Ok(parts),
                    other => Err(Box::new(other)),
                }
            }
        }
    };
}

part_reply!(Appended, Appended);
part_reply!(ReadAnswer, Read);
part_reply!(OffsetAnswer, Offsets);
part_reply!((i32, Offset), EpochEnds);
part_reply!(Offset, Deleted);

/// All parts in order: `answers`, with `refused` (ascending) at their places.
pub(crate) fn fill<T>(
    answers: Vec<Result<T, Refusal>>,
    refused: &[(usize, Refusal)],
) -> Vec<Result<T, Refusal>> {
    let mut all = Vec::with_capacity(answers.len() + refused.len());
    let mut answers = answers.into_iter();
    for (at, why) in refused {
        all.extend(answers.by_ref().take(at - all.len()));
        all.push(Err(why.clone()));
    }
    all.extend(answers);
    all
}

/// All parts in order if the rest is refused too, for one reason.
pub(crate) fn refuse_rest<T>(
    count: usize,
    refused: &[(usize, Refusal)],
    why: &Refusal,
) -> Vec<Result<T, Refusal>> {
    let rest = (refused.len()..count).map(|_| Err(why.clone())).collect();
    fill(rest, refused)
}

/// Stands between the shard and the caller's inbox.
pub(crate) struct Merge<R> {
    to: ReplyTo,
    refused: Vec<(usize, Refusal)>,
    part: PhantomData<fn() -> R>,
}

impl<R: PartReply> Merge<R> {
    pub(crate) fn between(to: ReplyTo, refused: Vec<(usize, Refusal)>) -> ReplyTo {
        let ticket = to.ticket;
        ReplyTo {
            sink: Arc::new(Merge::<R> {
                to,
                refused,
                part: PhantomData,
            }),
            ticket,
        }
    }
}

impl<R: PartReply> ReplySink for Merge<R> {
    fn reply(&self, _ticket: u64, reply: Reply) {
        let whole = match R::parts(reply) {
            Ok(answers) => R::reply(fill(answers, &self.refused)),
            Err(other) => *other,
        };
        self.to.sink.reply(self.to.ticket, whole);
    }

    fn is_gone(&self) -> bool {
        self.to.sink.is_gone()
    }
}
