//! Messages that come again and again from one place of the code: so many in a minute are
//! written, then it is said how many weren't. Of a list, and of what tells of a loss, each text counts
//! for itself. Which messages are worth saying isn't decided here.

use base::Mono;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;
use std::time::Duration;
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};

/// The target of messages of which each text counts for itself: one that says something else
/// than those before isn't held back for their number.
pub const LINE: &str = "flotilla::line";

/// Messages of one place that are written in a window.
const BURST: u32 = 20;
/// How long a window is.
const WINDOW: Duration = Duration::from_secs(60);

/// Texts that are told apart; whatever comes beyond counts by its place alone.
const APART_MAX: usize = 4096;

/// What was said lately, by its place in the code, and by its text where that counts.
#[derive(Default)]
pub struct Repeats(Mutex<Lately>);

#[derive(Default)]
struct Lately {
    places: HashMap<Identifier, Said>,
    texts: HashMap<(Identifier, u64), Said>,
    /// Texts in the order in which their windows began.
    order: VecDeque<(Mono, (Identifier, u64))>,
}

struct Said {
    place: String,
    since: Mono,
    written: u32,
    left_out: u64,
}

impl Said {
    fn new(metadata: &Metadata<'_>, now: Mono) -> Said {
        Said {
            place: format!("{}:{}", metadata.target(), metadata.line().unwrap_or(0)),
            since: now,
            written: 0,
            left_out: 0,
        }
    }

    fn lets(&mut self, now: Mono) -> bool {
        if now.since(self.since) >= WINDOW {
            (self.since, self.written) = (now, 0);
        }
        let lets = self.written < BURST;
        self.written += u32::from(lets);
        self.left_out += u64::from(!lets);
        lets
    }
}

impl Lately {
    /// Texts whose window is over make room. They stand in order, so whoever comes new looks at no others.
    fn forget(&mut self, now: Mono) {
        while let Some((_, key)) =
            (self.order).pop_front_if(|(since, _)| now.since(*since) >= WINDOW)
        {
            let Some(said) = self.texts.remove(&key).filter(|said| said.left_out > 0) else {
                continue;
            };
            // What is still to be told of it is told of its place.
            let left_out = said.left_out;
            let place = self.places.entry(key.0).or_insert(Said {
                written: 0,
                left_out: 0,
                ..said
            });
            place.left_out += left_out;
        }
    }

    fn said(&mut self, metadata: &Metadata<'_>, text: Option<u64>, now: Mono) -> &mut Said {
        let place = metadata.callsite();
        let Some(key) = text.map(|text| (place.clone(), text)) else {
            return self.place(metadata, now);
        };
        self.forget(now);
        if !self.texts.contains_key(&key) {
            if self.texts.len() >= APART_MAX {
                return self.place(metadata, now);
            }
            self.order.push_back((now, key.clone()));
        }
        let new = || Said::new(metadata, now);
        self.texts.entry(key).or_insert_with(new)
    }

    fn place(&mut self, metadata: &Metadata<'_>, now: Mono) -> &mut Said {
        let new = || Said::new(metadata, now);
        self.places.entry(metadata.callsite()).or_insert_with(new)
    }
}

impl Repeats {
    /// True if a message of this place may be written now.
    fn lets(&self, metadata: &Metadata<'_>, text: Option<u64>, now: Mono) -> bool {
        let mut lately = self.0.lock().expect("nobody panics while counting");
        lately.said(metadata, text, now).lets(now)
    }

    /// What wasn't written since the last call: places, and how many messages of each.
    fn left_out(&self) -> Vec<(String, u64)> {
        let mut lately = self.0.lock().expect("nobody panics while counting");
        let Lately { places, texts, .. } = &mut *lately;
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let all = places.values_mut().chain(texts.values_mut());
        for said in all.filter(|said| said.left_out > 0) {
            *counts.entry(said.place.clone()).or_default() += std::mem::take(&mut said.left_out);
        }
        counts.into_iter().collect()
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
        let metadata = event.metadata();
        if *metadata.level() > Level::INFO {
            return true;
        }
        let text = (metadata.target() == LINE).then(|| {
            let mut text = Text::default();
            event.record(&mut text);
            text.0.finish()
        });
        self.lets(metadata, text, os::clock::mono())
    }
}

/// What a message says, as a number.
#[derive(Default)]
struct Text(DefaultHasher);

impl Visit for Text {
    fn record_debug(&mut self, _: &Field, value: &dyn Debug) {
        format!("{value:?}").hash(&mut self.0);
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

    /// What is written of what is said.
    fn written(repeats: &'static Repeats, say: impl FnOnce()) -> String {
        let page = Page::default();
        let to = page.clone();
        let layer = tracing_subscriber::fmt::layer().with_writer(move || to.clone());
        let all = tracing_subscriber::registry().with(layer.with_filter(repeats));
        tracing::subscriber::with_default(all, say);
        String::from_utf8(page.0.lock().unwrap().clone()).expect("text")
    }

    #[test]
    fn a_message_that_comes_all_the_time_is_written_so_often_and_counted() {
        let repeats: &'static Repeats = Box::leak(Box::default());
        let text = written(repeats, || {
            for n in 0..50 {
                tracing::warn!("peer {n} is away");
            }
            tracing::warn!("something else");
        });
        assert_eq!(text.matches("is away").count(), BURST as usize);
        assert!(text.contains("something else"));
        let left_out = repeats.left_out();
        assert_eq!(left_out.len(), 1);
        assert_eq!(left_out[0].1, 30);
        assert!(left_out[0].0.contains("logging::repeats"), "{left_out:?}");
        assert!(repeats.left_out().is_empty(), "it is told once");
    }

    #[test]
    fn what_says_something_else_is_written_where_each_text_counts() {
        let repeats: &'static Repeats = Box::leak(Box::default());
        let text = written(repeats, || {
            for n in 0..50 {
                tracing::warn!(target: LINE, "group {n} is damaged");
            }
            for _ in 0..50 {
                tracing::warn!(target: LINE, "group 7 lost something");
            }
        });
        assert_eq!(text.matches("is damaged").count(), 50);
        assert_eq!(text.matches("lost something").count(), BURST as usize);
    }

    #[test]
    fn a_flood_of_texts_counts_by_its_place() {
        let repeats = Repeats::default();
        let texts = 0..2 * APART_MAX as u64;
        let written = texts.filter(|text| repeats.lets(place(), Some(*text), Mono(1)));
        assert_eq!(written.count(), APART_MAX + BURST as usize);
    }

    #[test]
    fn texts_whose_window_is_over_make_room_and_what_was_left_out_of_them_is_still_told() {
        let repeats = Repeats::default();
        let lets = |text: u64, at: u64| repeats.lets(place(), Some(text), Mono(at));
        let window = WINDOW.as_micros() as u64;
        let texts = APART_MAX as u64;
        // Each was said once too often.
        for text in 0..texts {
            let said = (0..=BURST).filter(|_| lets(text, text));
            assert_eq!(said.count(), BURST as usize);
        }
        assert!(lets(texts, texts), "by its place");
        // The first hundred are over, and as many others may come.
        let new = 0..150;
        let written = new.flat_map(|n| (0..BURST).map(move |_| texts + 1 + n));
        let written = written.filter(|text| lets(*text, window + 99));
        // The others share what their place may say, of which one was said before.
        assert_eq!(written.count(), 101 * BURST as usize - 1);
        let left_out: u64 = repeats.left_out().iter().map(|(_, count)| count).sum();
        assert_eq!(left_out, texts + 49 * u64::from(BURST) + 1);
    }

    #[test]
    fn a_new_window_lets_messages_through_again() {
        let repeats = Repeats::default();
        let window = |start: u64| {
            let written = (0..30).filter(|n| repeats.lets(place(), None, Mono(start + n)));
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
