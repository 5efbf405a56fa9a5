//! The text of a scrape: OpenMetrics 1.0 for who asks for it, else the older text format of
//! Prometheus, which everything reads.
//!
//! They differ in little: the older one calls a counter by its whole name, knows no exemplars and
//! has no end mark.

use std::fmt::Write as _;

use super::metrics::{Durations, Exemplar, Family, Kind, Labels, Sample, Value};

/// How a scrape is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus's text format 0.0.4.
    Text,
}

impl Format {
    /// The format for who accepts this.
    pub fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Text }
    }

    /// What the text is declared as.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Writes families down.
pub(super) fn write(families: impl Iterator<Item = Family>, format: Format) -> String {
    let mut text = Text { out: String::with_capacity(64 << 10), format };
    families.for_each(|family| text.family(&family));
    if format == Format::OpenMetrics {
        text.out.push_str("# EOF\n");
    }
    text.out
}

struct Text {
    out: String,
    format: Format,
}

impl Text {
    fn family(&mut self, family: &Family) {
        let (kind, total) = match family.kind {
            Kind::Counter => ("counter", "_total"),
            Kind::Gauge => ("gauge", ""),
            Kind::Histogram => ("histogram", ""),
        };
        // To OpenMetrics the ending is part of the sample, to the older format of the name.
        let ending = if self.format == Format::Text { total } else { "" };
        let Family { name, help, .. } = family;
        self.put(format_args!("# HELP {name}{ending} {help}.\n# TYPE {name}{ending} {kind}\n"));
        for sample in &family.samples {
            self.sample(name, total, sample);
        }
    }

    fn sample(&mut self, name: &str, ending: &str, sample: &Sample) {
        match &sample.value {
            Value::Number(value) => {
                self.name(name, ending, &sample.labels, None);
                self.put(format_args!("{value:?}\n"));
            }
            Value::Histogram(durations) => self.histogram(name, &sample.labels, durations),
        }
    }

    fn histogram(&mut self, name: &str, labels: &Labels, durations: &Durations) {
        let mut count = 0;
        for (at, bucket) in durations.buckets.iter().enumerate() {
            count += bucket;
            let bound = durations.bounds_us.get(at).map_or(f64::INFINITY, |&us| seconds(us));
            self.name(name, "_bucket", labels, Some(bound));
            self.put(format_args!("{count}"));
            if let Some(exemplar) = durations.exemplars.get(at).copied().flatten() {
                self.exemplar(exemplar);
            }
            self.out.push('\n');
        }
        self.name(name, "_sum", labels, None);
        self.put(format_args!("{:?}\n", seconds(durations.sum_us)));
        self.name(name, "_count", labels, None);
        self.put(format_args!("{count}\n"));
    }

    fn exemplar(&mut self, exemplar: Exemplar) {
        if self.format == Format::OpenMetrics {
            let (took, at) = (seconds(exemplar.duration_us), exemplar.at_us.div_euclid(1_000));
            let (second, ms) = (at.div_euclid(1_000), at.rem_euclid(1_000));
            let trace = exemplar.trace_id;
            self.put(format_args!(" # {{trace_id=\"{trace}\"}} {took:?} {second}.{ms:03}"));
        }
    }

    /// A name with its labels, and the space before the value.
    fn name(&mut self, name: &str, ending: &str, labels: &Labels, bound: Option<f64>) {
        self.out.push_str(name);
        self.out.push_str(ending);
        let mut before = '{';
        for (label, value) in labels {
            self.out.push(before);
            self.out.push_str(label);
            self.out.push_str("=\"");
            self.escaped(value);
            self.out.push('"');
            before = ',';
        }
        match bound {
            Some(bound) if bound.is_finite() => {
                self.put(format_args!("{before}le=\"{bound:?}\"}} "));
            }
            Some(_) => self.put(format_args!("{before}le=\"+Inf\"}} ")),
            None if before == '{' => self.out.push(' '),
            None => self.out.push_str("} "),
        }
    }

    fn escaped(&mut self, value: &str) {
        for c in value.chars() {
            match c {
                '\\' => self.out.push_str("\\\\"),
                '"' => self.out.push_str("\\\""),
                '\n' => self.out.push_str("\\n"),
                c => self.out.push(c),
            }
        }
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        if self.out.write_fmt(text).is_err() {
            self.out.clear();
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "microseconds stay far below 2^52")]
fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::{Format, write};
    use crate::{
        domain::correlation::TraceId,
        telemetry::metrics::{Durations, Exemplar, Family, Kind, Labels, Sample, Value},
    };

    fn families() -> Vec<Family> {
        let labels: Labels = vec![("upstream", "a\"b\\\n".into())];
        let exemplar = Exemplar {
            trace_id: TraceId::from_u128(0xff),
            duration_us: 2_000,
            at_us: 1_700_000_000_123_456,
        };
        let durations = Durations {
            bounds_us: &[5_000, 1_000_000],
            buckets: vec![2, 0, 1],
            sum_us: 3_500_000,
            exemplars: vec![Some(exemplar)],
        };
        let took = Sample {
            labels: vec![("route", "all".into())],
            value: Value::Histogram(Box::new(durations)),
        };
        vec![
            Family {
                name: "calls",
                help: "Calls",
                kind: Kind::Counter,
                samples: vec![Sample::new(labels, 3.0)],
            },
            Family::single("up", "Whether it is up", Kind::Gauge, 1.0),
            Family { name: "took", help: "Time", kind: Kind::Histogram, samples: vec![took] },
        ]
    }

    #[test]
    fn openmetrics_has_exemplars_and_an_end() {
        let expected = r##"# HELP calls Calls.
# TYPE calls counter
calls_total{upstream="a\"b\\\n"} 3.0
# HELP up Whether it is up.
# TYPE up gauge
up 1.0
# HELP took Time.
# TYPE took histogram
took_bucket{route="all",le="0.005"} 2 # {trace_id="000000000000000000000000000000ff"} 0.002 1700000000.123
took_bucket{route="all",le="1.0"} 2
took_bucket{route="all",le="+Inf"} 3
took_sum{route="all"} 3.5
took_count{route="all"} 3
# EOF
"##;
        assert_eq!(write(families().into_iter(), Format::OpenMetrics), expected);
    }

    #[test]
    fn the_older_format_names_counters_whole_and_has_neither() {
        let text = write(families().into_iter(), Format::Text);
        assert!(text.contains("# TYPE calls_total counter\ncalls_total{"), "{text}");
        assert!(text.contains("le=\"0.005\"} 2\n"), "{text}");
        assert!(text.ends_with("took_count{route=\"all\"} 3\n"), "{text}");
    }

    #[test]
    fn who_asks_for_openmetrics_gets_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
        assert_eq!(Format::accepted(prometheus), Format::OpenMetrics);
        assert_eq!(Format::accepted("*/*"), Format::Text);
    }
}
