//! `/metrics`: everything that is counted.
//!
//! Numbers live where they are counted; a scrape asks the [`Source`]s and [`super::exposition`]
//! writes down what they say. Labels take their values from the configuration and from fixed
//! vocabularies only, never from a call.

use std::{borrow::Cow, fmt};

use super::exposition::{Format, write};
use crate::domain::correlation::TraceId;

/// Something that has numbers to tell.
pub trait Source: fmt::Debug + Send + Sync + 'static {
    /// Its numbers now.
    fn families(&self) -> Vec<Family>;
}

/// All samples of one name.
#[derive(Debug, Clone)]
pub struct Family {
    /// The name, without the `_total` that counters get.
    pub name: &'static str,
    /// What it says, without a stop.
    pub help: &'static str,
    /// What kind of number it is.
    pub kind: Kind,
    /// The samples, one per set of labels.
    pub samples: Vec<Sample>,
}

/// What kind of number a family holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
}

/// The labels of a sample.
pub type Labels = Vec<(&'static str, Cow<'static, str>)>;

/// One number, or one histogram.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Its labels.
    pub labels: Labels,
    /// Its value.
    pub value: Value,
}

/// What a sample is worth.
#[derive(Debug, Clone)]
pub enum Value {
    /// A counter's or gauge's.
    Number(f64),
    /// A histogram's.
    Histogram(Box<Durations>),
}

/// Durations by size.
#[derive(Debug, Clone)]
pub struct Durations {
    /// Upper bounds in microseconds.
    pub bounds_us: &'static [u64],
    /// Counts by bucket, the last one beyond all bounds.
    pub buckets: Vec<u64>,
    /// The sum of the durations, in microseconds.
    pub sum_us: u64,
    /// A call that is in the bucket, where one is known.
    pub exemplars: Vec<Option<Exemplar>>,
}

/// A call that a number stands for, among others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exemplar {
    /// Its trace.
    pub trace_id: TraceId,
    /// Its duration.
    pub duration_us: u64,
    /// When it ended, in microseconds since the Unix epoch.
    pub at_us: i64,
}

impl Sample {
    /// A number with these labels.
    pub const fn new(labels: Labels, value: f64) -> Self {
        Self { labels, value: Value::Number(value) }
    }
}

impl Family {
    /// A family of one sample without labels.
    pub fn single(name: &'static str, help: &'static str, kind: Kind, value: f64) -> Self {
        Self { name, help, kind, samples: vec![Sample::new(Labels::new(), value)] }
    }
}

/// All sources.
#[derive(Debug, Default)]
pub struct Metrics {
    sources: Vec<Box<dyn Source>>,
}

impl Metrics {
    /// Adds a source.
    pub fn add(&mut self, source: impl Source) {
        self.sources.push(Box::new(source));
    }

    /// The text of a scrape.
    pub fn encode(&self, format: Format) -> String {
        let families = self.sources.iter().flat_map(|source| source.families());
        write(families, format)
    }
}
