//! Prometheus' text format: families of samples in, text out. Nothing is kept here.

use base::Distribution;
use std::borrow::Cow;
use std::fmt::Write;

/// How a family's values move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only up.
    Counter,
    /// Up and down.
    Gauge,
    /// Counts by size, each step with those below it, and the sum.
    Histogram,
}

/// Samples of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// The name, with its unit last.
    pub name: Cow<'static, str>,
    /// The meaning.
    pub help: Cow<'static, str>,
    /// How values move.
    pub kind: Kind,
    /// The values.
    pub samples: Vec<Sample>,
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// What follows the family's name: a histogram has several kinds of values.
    suffix: &'static str,
    /// What sets it apart from its siblings.
    pub labels: Vec<(Cow<'static, str>, String)>,
    /// The value.
    pub value: f64,
}

impl Family {
    /// A family of one counter.
    pub fn counter(name: &'static str, help: &'static str, value: impl Number) -> Family {
        Family::one(name, help, Kind::Counter, value)
    }

    /// A family of one gauge.
    pub fn gauge(name: &'static str, help: &'static str, value: impl Number) -> Family {
        Family::one(name, help, Kind::Gauge, value)
    }

    /// A family of counters that one label sets apart.
    pub fn counters<L: AsRef<str>, N: Number>(
        name: &'static str,
        help: &'static str,
        label: &'static str,
        values: impl IntoIterator<Item = (L, N)>,
    ) -> Family {
        let mut family = Family::empty(name, help, Kind::Counter);
        for (of, value) in values {
            family.push(&[(label, of.as_ref())], value);
        }
        family
    }

    /// A family of times that one label sets apart.
    pub fn times<L: AsRef<str>>(
        name: &'static str,
        help: &'static str,
        label: &'static str,
        values: impl IntoIterator<Item = (L, Distribution)>,
    ) -> Family {
        let mut family = Family::empty(name, help, Kind::Histogram);
        for (of, times) in values {
            family.push_times(&[(label, of.as_ref())], &times);
        }
        family
    }

    /// A family without values yet.
    pub fn empty(
        name: impl Into<Cow<'static, str>>,
        help: impl Into<Cow<'static, str>>,
        kind: Kind,
    ) -> Family {
        Family {
            name: name.into(),
            help: help.into(),
            kind,
            samples: Vec::new(),
        }
    }

    /// Adds a value.
    pub fn push(&mut self, labels: &[(&'static str, &str)], value: impl Number) {
        self.add("", labels, value.number());
    }

    /// Adds a value whose labels aren't known before.
    pub fn push_labelled(&mut self, labels: Vec<(String, String)>, value: f64) {
        let owned = |(name, value): (String, String)| (Cow::Owned(name), value);
        self.samples.push(Sample {
            suffix: "",
            labels: labels.into_iter().map(owned).collect(),
            value,
        });
    }

    /// Adds what a histogram has counted.
    pub fn push_times(&mut self, labels: &[(&'static str, &str)], times: &Distribution) {
        let mut below = 0;
        for (upto, count) in times.steps {
            below += count;
            let upto = upto.as_secs_f64().to_string();
            let labels = [labels, &[("le", &upto)]].concat();
            self.add("_bucket", &labels, below as f64);
        }
        let total = (below + times.longer) as f64;
        self.add("_bucket", &[labels, &[("le", "+Inf")]].concat(), total);
        self.add("_sum", labels, times.sum.as_secs_f64());
        self.add("_count", labels, total);
    }

    fn add(&mut self, suffix: &'static str, labels: &[(&'static str, &str)], value: f64) {
        let owned =
            |(name, value): &(&'static str, &str)| (Cow::Borrowed(*name), (*value).to_owned());
        self.samples.push(Sample {
            suffix,
            labels: labels.iter().map(owned).collect(),
            value,
        });
    }

    fn one(name: &'static str, help: &'static str, kind: Kind, value: impl Number) -> Family {
        let mut family = Family::empty(name, help, kind);
        family.push(&[], value);
        family
    }
}

/// What can be measured.
pub trait Number {
    /// As the format has it.
    fn number(self) -> f64;
}

impl Number for i64 {
    fn number(self) -> f64 {
        self as f64
    }
}

impl Number for u64 {
    fn number(self) -> f64 {
        self as f64
    }
}

impl Number for usize {
    fn number(self) -> f64 {
        self as f64
    }
}

impl Number for f64 {
    fn number(self) -> f64 {
        self
    }
}

impl Number for bool {
    fn number(self) -> f64 {
        f64::from(u8::from(self))
    }
}

impl Number for std::time::Duration {
    fn number(self) -> f64 {
        self.as_secs_f64()
    }
}

/// The families as text.
pub fn render(families: &[Family]) -> String {
    let mut text = String::with_capacity(families.len() * 128);
    for family in families {
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = writeln!(text, "# HELP {} {help}\n# TYPE {0} {kind}", family.name);
        for sample in &family.samples {
            text.push_str(&family.name);
            text.push_str(sample.suffix);
            labels(&mut text, &sample.labels);
            let _ = writeln!(text, " {}", sample.value);
        }
    }
    text
}

fn labels(text: &mut String, labels: &[(Cow<'static, str>, String)]) {
    for (at, (name, value)) in labels.iter().enumerate() {
        let value = value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        let open = if at == 0 { '{' } else { ',' };
        let _ = write!(text, "{open}{name}=\"{value}\"");
    }
    if !labels.is_empty() {
        text.push('}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_become_text_with_escaped_labels() {
        let families = [
            Family::counter("flotilla_writes_total", "Writes.\nAll.", 3u64),
            Family::gauge("flotilla_up", "Whether.", true),
            Family::counters("flotilla_calls_total", "Calls.", "api", [("a\"b\\c", 1.5)]),
        ];
        let expected = "\
# HELP flotilla_writes_total Writes.\\nAll.
# TYPE flotilla_writes_total counter
flotilla_writes_total 3
# HELP flotilla_up Whether.
# TYPE flotilla_up gauge
flotilla_up 1
# HELP flotilla_calls_total Calls.
# TYPE flotilla_calls_total counter
flotilla_calls_total{api=\"a\\\"b\\\\c\"} 1.5
";
        assert_eq!(render(&families), expected);
    }
    #[test]
    fn each_step_of_a_histogram_holds_those_below_it() {
        let counted = base::Histogram::default();
        for micros in [50, 200, 99_000_000] {
            counted.count(std::time::Duration::from_micros(micros));
        }
        let family = Family::times("a_seconds", "A.", "api", [("x", counted.read())]);
        let text = render(&[family]);
        let first = "# HELP a_seconds A.\n# TYPE a_seconds histogram\na_seconds_bucket{api=\"x\",le=\"0.0001\"} 1\n\
                     a_seconds_bucket{api=\"x\",le=\"0.00025\"} 2\n";
        assert!(text.starts_with(first), "{text}");
        let last = "a_seconds_bucket{api=\"x\",le=\"60\"} 2\na_seconds_bucket{api=\"x\",le=\"+Inf\"} 3\n\
                    a_seconds_sum{api=\"x\"} 99.00025\na_seconds_count{api=\"x\"} 3\n";
        assert!(text.ends_with(last), "{text}");
    }
}
