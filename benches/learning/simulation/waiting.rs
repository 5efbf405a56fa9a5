//! Minutes of calls under a timeout that is learned from them, and a sudden slowdown.

use std::time::Duration;

use fusebox::domain::learn::{
    formula::share::Share,
    histogram::Histogram,
    timeout::{Durations, Estimate, Learned, Memory, Mode, Policy},
};

use super::random::Random;

/// Minutes before anything counts.
const WARM_UP: u32 = 120;

/// Minutes that count as steady.
const STEADY: u32 = 360;

/// Minutes after the slowdown that count.
const AFTER: u32 = 5;

/// How the timeout in force is found.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rule {
    /// As learned, also where that is shorter.
    Tighten {
        /// At first.
        from: Duration,
    },
    /// Learned, but never shorter than this.
    Widen {
        /// Configured.
        from: Duration,
    },
    /// Always this.
    Fixed(Duration),
    /// The usual mistake: 1.2 times the p99 of the calls that ended, of the last 15 minutes.
    Naive,
}

/// How long calls take: most this long, one in fifty ten times as long, each with its spread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Service {
    pub(crate) rule: Rule,
    pub(crate) per_minute: u32,
    /// The median of most calls, in seconds.
    pub(crate) median: f64,
}

/// What became of the calls of one run.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cuts {
    /// The share cut in steady state. All would have ended, so all cuts are false.
    pub(crate) steady: f64,
    /// The share cut in the minutes after everything takes three times as long.
    pub(crate) after: f64,
    /// The timeout before that.
    pub(crate) learned: Duration,
    /// The shortest timeout that was ever in force.
    pub(crate) shortest: Duration,
    /// Minutes whose estimate was that nothing can be known.
    pub(crate) unknown: u32,
    /// Of these, minutes with another timeout than the ceiling.
    pub(crate) unknown_and_not_ceiling: u32,
}

/// Runs the service until it is steady and then slows it down threefold.
pub(crate) fn run(service: &Service, random: &mut Random) -> Cuts {
    let mut desk = Desk::new(service);
    let mut cuts = Cuts { shortest: Duration::MAX, ..Cuts::default() };
    let mut steady = Share::default();
    let mut after = Share::default();
    for minute in 0..WARM_UP + STEADY + AFTER {
        let slow = minute >= WARM_UP + STEADY;
        if minute == WARM_UP + STEADY {
            cuts.learned = desk.timeout;
        }
        let cut = desk.minute(if slow { 3.0 } else { 1.0 }, random);
        if slow {
            after = after.plus(cut);
        } else if minute >= WARM_UP {
            steady = steady.plus(cut);
        }
        cuts.shortest = cuts.shortest.min(desk.timeout);
        if !matches!(desk.learned.estimate(), Estimate::Known(_)) {
            cuts.unknown += 1;
            let ceiling = desk.learned.timeout() == desk.policy.ceiling;
            cuts.unknown_and_not_ceiling += u32::from(!ceiling);
        }
    }
    (cuts.steady, cuts.after) = (steady.rate(), after.rate());
    cuts
}

/// Where calls are timed.
struct Desk<'a> {
    service: &'a Service,
    policy: Policy,
    memory: Memory,
    learned: Learned,
    /// The timeout in force.
    timeout: Duration,
    /// What ended in the last minutes, for the naive rule.
    ended: Vec<Histogram>,
}

impl<'a> Desk<'a> {
    fn new(service: &'a Service) -> Self {
        let policy = Policy::default();
        let timeout = match service.rule {
            Rule::Tighten { from } | Rule::Widen { from } | Rule::Fixed(from) => from,
            Rule::Naive => policy.ceiling,
        };
        let learned = Learned::new(timeout);
        Self { service, policy, memory: Memory::default(), learned, timeout, ended: Vec::new() }
    }

    /// One minute of calls, after which the timeout is learned anew.
    fn minute(&mut self, slower: f64, random: &mut Random) -> Share {
        let mut durations = Durations::default();
        for _ in 0..self.service.per_minute {
            let times = if random.happens(0.02) { 10.0 } else { 1.0 };
            let seconds = random.lognormal(self.service.median * times * slower, 0.5);
            let taken = Duration::from_secs_f64(seconds);
            if taken > self.timeout {
                durations.cut.record(micros(self.timeout));
            } else {
                durations.ended.record(micros(taken));
            }
        }
        let cut = Share::new(durations.cut.count(), u64::from(self.service.per_minute));
        self.ended.push(durations.ended.clone());
        self.memory.push(durations);
        self.learned.step(&self.memory, cut, &self.policy);
        self.timeout = self.next();
        cut
    }

    fn next(&self) -> Duration {
        match self.service.rule {
            Rule::Tighten { .. } => self.learned.timeout(),
            Rule::Widen { from } => Mode::Widen.in_force(from, &self.learned, &self.policy),
            Rule::Fixed(timeout) => timeout,
            Rule::Naive => {
                let mut lately = Histogram::default();
                self.ended.iter().rev().take(15).for_each(|minute| lately.merge(minute));
                let p99 = Duration::from_micros(lately.quantile(0.99).unwrap_or_default());
                p99.mul_f64(1.2).clamp(self.policy.floor, self.policy.ceiling)
            }
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
