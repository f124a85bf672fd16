//! Messages that come again and again from one place of the code: so many in a minute are
//! written, then it is said how many weren't. Which messages are worth saying isn't decided here.

use base::Mono;
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;
use tracing::callsite::Identifier;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};

/// Messages of one place that are written in a window.
const BURST: u32 = 20;
/// How long a window is.
const WINDOW: Duration = Duration::from_secs(60);

/// What was said lately, by its place in the code; there are only so many.
#[derive(Default)]
pub struct Repeats(Mutex<HashMap<Identifier, Said>>);

struct Said {
    place: String,
    since: Mono,
    written: u32,
    left_out: u64,
}

impl Repeats {
    /// True if a message of this place may be written now.
    fn lets(&self, metadata: &Metadata<'_>, now: Mono) -> bool {
        let mut said = self.0.lock().expect("nobody panics while counting");
        let said = said.entry(metadata.callsite()).or_insert_with(|| Said {
            place: format!("{}:{}", metadata.target(), metadata.line().unwrap_or(0)),
            since: now,
            written: 0,
            left_out: 0,
        });
        if now.since(said.since) >= WINDOW {
            (said.since, said.written) = (now, 0);
        }
        let lets = said.written < BURST;
        said.written += u32::from(lets);
        said.left_out += u64::from(!lets);
        lets
    }

    /// What wasn't written since the last call: places, and how many messages of each.
    fn left_out(&self) -> Vec<(String, u64)> {
        let mut said = self.0.lock().expect("nobody panics while counting");
        let counts = said.values_mut().filter(|said| said.left_out > 0);
        let mut counts: Vec<_> = counts
            .map(|said| (said.place.clone(), std::mem::take(&mut said.left_out)))
            .collect();
        counts.sort();
        counts
    }

    /// Says once in a window what wasn't written in it.
    pub async fn tell(&self) {
        loop {
            tokio::time::sleep(WINDOW).await;
            for (place, messages) in self.left_out() {
                tracing::warn!("{messages} more messages like the last ones of {place}");
            }
        }
    }
}

/// Holds back what repeats itself. What is only written on demand comes whole.
impl<S: Subscriber> Filter<S> for &'static Repeats {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        *event.metadata().level() > Level::INFO || self.lets(event.metadata(), os::clock::mono())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::Arc;
    use tracing_subscriber::prelude::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_message_that_comes_all_the_time_is_written_so_often_and_counted() {
        let repeats: &'static Repeats = Box::leak(Box::default());
        let page = Page::default();
        let to = page.clone();
        let layer = tracing_subscriber::fmt::layer().with_writer(move || to.clone());
        let all = tracing_subscriber::registry().with(layer.with_filter(repeats));
        tracing::subscriber::with_default(all, || {
            for n in 0..50 {
                tracing::warn!("peer {n} is away");
            }
            tracing::warn!("something else");
        });
        let text = String::from_utf8(page.0.lock().unwrap().clone()).expect("text");
        assert_eq!(text.matches("is away").count(), BURST as usize);
        assert!(text.contains("something else"));
        let left_out = repeats.left_out();
        assert_eq!(left_out.len(), 1);
        assert_eq!(left_out[0].1, 30);
        assert!(left_out[0].0.contains("logging::repeats"), "{left_out:?}");
        assert!(repeats.left_out().is_empty(), "it is told once");
    }

    #[test]
    fn a_new_window_lets_messages_through_again() {
        let repeats = Repeats::default();
        let window = |start: u64| {
            let written = (0..30).filter(|n| repeats.lets(place(), Mono(start + n)));
            written.count()
        };
        assert_eq!(window(0), 20);
        assert_eq!(window(1000), 0);
        assert_eq!(window(WINDOW.as_micros() as u64), 20);
    }

    /// Some place in the code.
    fn place() -> &'static Metadata<'static> {
        use tracing::callsite::{Callsite, DefaultCallsite};
        static PLACE: DefaultCallsite = DefaultCallsite::new(&DATA);
        static DATA: Metadata<'static> = tracing::metadata! {
            name: "place",
            target: "place",
            level: Level::WARN,
            fields: &[],
            callsite: &PLACE,
            kind: tracing::metadata::Kind::EVENT,
        };
        PLACE.metadata()
    }
}
