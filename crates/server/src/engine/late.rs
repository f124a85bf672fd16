//! Answers about metadata and leaders, held back until those of the turn are published: whoever hears
//! that a topic was made, or is led, must find it so, and answers otherwise leave in the middle of a turn.

use shard::{Command, Event, Reply, ReplySink, ReplyTo};
use std::sync::{Arc, Mutex};

/// The answers of this turn.
#[derive(Clone, Default)]
pub struct Late {
    held: Arc<Mutex<Vec<(ReplyTo, Reply)>>>,
}

/// Stands in for the inbox that asked.
struct Holder {
    asked: ReplyTo,
    late: Late,
}

impl Late {
    /// The event, its answer led through here if it promises something of what is published.
    pub fn hold(&self, event: Event) -> Event {
        use Command::{AwaitLeader, Meta, Prefer};
        match event {
            Event::Command(
                command @ (Meta { .. } | Prefer { .. } | AwaitLeader { .. }),
                Some(asked),
            ) => {
                let ticket = asked.ticket;
                let sink = Arc::new(Holder {
                    asked,
                    late: self.clone(),
                });
                Event::Command(command, Some(ReplyTo { sink, ticket }))
            }
            other => other,
        }
    }

    /// Lets all answers go.
    pub fn release(&self) {
        let held = std::mem::take(&mut *self.held.lock().expect("nobody panics while holding it"));
        for (to, reply) in held {
            to.sink.reply(to.ticket, reply);
        }
    }
}

impl ReplySink for Holder {
    fn reply(&self, _: u64, reply: Reply) {
        let mut held = self
            .late
            .held
            .lock()
            .expect("nobody panics while holding it");
        held.push((self.asked.clone(), reply));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::{Mono, Refusal};

    #[derive(Default)]
    struct Inbox(Mutex<Vec<u64>>);

    impl ReplySink for Inbox {
        fn reply(&self, ticket: u64, _: Reply) {
            self.0.lock().expect("no panic").push(ticket);
        }
    }

    #[test]
    fn an_answer_about_metadata_arrives_only_when_it_is_released() {
        let (inbox, late) = (Arc::new(Inbox::default()), Late::default());
        let deadline = Mono(0);
        let command = meta::Command::AllocateProducerIds { count: 1 };
        let to = ReplyTo {
            sink: inbox.clone(),
            ticket: 7,
        };
        let event = Event::Command(Command::Meta { command, deadline }, Some(to));
        let Event::Command(_, Some(to)) = late.hold(event) else {
            panic!("a command stays one")
        };
        to.sink
            .reply(to.ticket, Reply::Meta(Err(Refusal::NoController)));
        assert!(inbox.0.lock().expect("no panic").is_empty());
        late.release();
        late.release();
        assert_eq!(*inbox.0.lock().expect("no panic"), [7]);
    }
}
