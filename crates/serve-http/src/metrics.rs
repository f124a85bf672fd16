//! Prometheus' text format: families of samples in, text out. Nothing is kept here.

use std::fmt::Write;

/// How a family's values move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only up.
    Counter,
    /// Up and down.
    Gauge,
}

/// Samples of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// The name, with its unit last.
    pub name: &'static str,
    /// The meaning.
    pub help: &'static str,
    /// How values move.
    pub kind: Kind,
    /// The values.
    pub samples: Vec<Sample>,
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// What sets it apart from its siblings.
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    pub value: f64,
}

impl Family {
    /// A family of one counter.
    pub fn counter(name: &'static str, help: &'static str, value: impl Number) -> Family {
        Family::one(name, help, Kind::Counter, value.number())
    }

    /// A family of one gauge.
    pub fn gauge(name: &'static str, help: &'static str, value: impl Number) -> Family {
        Family::one(name, help, Kind::Gauge, value.number())
    }

    /// A family of counters that one label sets apart.
    pub fn counters<L: Into<String>, N: Number>(
        name: &'static str,
        help: &'static str,
        label: &'static str,
        values: impl IntoIterator<Item = (L, N)>,
    ) -> Family {
        let sample = |(of, value): (L, N)| Sample {
            labels: vec![(label, of.into())],
            value: value.number(),
        };
        let samples = values.into_iter().map(sample).collect();
        Family {
            name,
            help,
            kind: Kind::Counter,
            samples,
        }
    }

    fn one(name: &'static str, help: &'static str, kind: Kind, value: f64) -> Family {
        Family {
            name,
            help,
            kind,
            samples: vec![Sample {
                labels: Vec::new(),
                value,
            }],
        }
    }
}

/// What can be measured.
pub trait Number {
    /// As the format has it.
    fn number(self) -> f64;
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
        };
        let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = writeln!(text, "# HELP {} {help}\n# TYPE {0} {kind}", family.name);
        for sample in &family.samples {
            text.push_str(family.name);
            labels(&mut text, &sample.labels);
            let _ = writeln!(text, " {}", sample.value);
        }
    }
    text
}

fn labels(text: &mut String, labels: &[(&'static str, String)]) {
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
}
