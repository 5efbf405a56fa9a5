//! Simulated traffic through the rules of learning, and what they made of it.
//!
//! Every run has a seed of its own, so that a table is the same whenever and on however many cores
//! it is made.

pub(crate) mod changing;
pub(crate) mod random;
pub(crate) mod recommending;
pub(crate) mod waiting;
pub(crate) mod worlds;

use std::thread;

use random::Random;

/// Runs of one line of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Runs {
    pub(crate) count: u32,
    /// The seed of the first one.
    pub(crate) seed: u64,
}

impl Runs {
    /// So many of them.
    pub(crate) fn of(self, count: u32) -> Self {
        Self { count, ..self }
    }

    /// Makes them, on all cores, and returns what each gave, in order.
    pub(crate) fn each<T: Send>(self, run: impl Fn(&mut Random) -> T + Sync) -> Vec<T> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let mut seeds: Vec<(u64, Option<T>)> =
            (0..u64::from(self.count)).map(|seed| (self.seed + seed, None)).collect();
        let part = seeds.len().div_ceil(cores).max(1);
        thread::scope(|scope| {
            for seeds in seeds.chunks_mut(part) {
                scope.spawn(|| {
                    for (seed, result) in seeds {
                        *result = Some(run(&mut Random::new(*seed)));
                    }
                });
            }
        });
        seeds.into_iter().filter_map(|(_, result)| result).collect()
    }
}

/// The share of runs of which something is true.
pub(crate) fn share<T>(runs: &[T], is: impl Fn(&T) -> bool) -> f64 {
    runs.iter().filter(|run| is(run)).count() as f64 / runs.len() as f64
}

/// The mean of a figure over runs; NaN without any.
pub(crate) fn mean(figures: impl IntoIterator<Item = f64>) -> f64 {
    let (count, sum) = figures.into_iter().fold((0.0, 0.0), |(n, sum), x| (n + 1.0, sum + x));
    sum / count
}
