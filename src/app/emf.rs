//! When lines for CloudWatch are written: at the end of each minute, whether anything happened or
//! not, and once more when the process stops.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval_at},
};

use super::{current::Current, ledger::Ledger};
use crate::{
    breakers::Breakers,
    clock,
    config::Config,
    domain::{
        breaker::{Mode, State},
        emf::{Dimensions, Metric, Moves, Totals, values},
        task::CallRecord,
    },
    telemetry::{circuits::Circuits, emf::Lines, log::Lane},
};

/// Tasks that were reported and were no calls.
#[derive(Debug, Clone, Default)]
pub(super) struct Reported(Arc<Mutex<Totals>>);

impl Reported {
    /// Adds some.
    pub(super) fn add(&self, tasks: &[CallRecord]) {
        let mut totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.iter().for_each(|task| totals.add(task));
    }

    fn totals(&self) -> Totals {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the lines are made from.
pub(super) struct Observed {
    current: watch::Receiver<Arc<Current>>,
    breakers: Arc<Breakers>,
    circuits: Circuits,
    reported: Reported,
    ledger: Ledger,
}

impl Observed {
    /// Of these parts.
    pub(super) fn of(
        current: watch::Receiver<Arc<Current>>,
        breakers: &Arc<Breakers>,
        circuits: &Circuits,
        reported: &Reported,
    ) -> Self {
        Self {
            current,
            breakers: Arc::clone(breakers),
            circuits: circuits.clone(),
            reported: reported.clone(),
            ledger: Ledger::default(),
        }
    }

    /// All tasks since the start, and what circuits did since this was last asked.
    fn look(&mut self) -> (Totals, Moves) {
        let current = Arc::clone(&self.current.borrow());
        let calls = self.ledger.tasks(&current.traffic);
        (self.reported.totals().plus(calls), self.circuits.take(open(&self.breakers)))
    }
}

/// The circuits that are open, as callers feel it.
pub(super) fn open(breakers: &Breakers) -> BTreeSet<Arc<str>> {
    let now = clock::now();
    let is_open = |name: &Arc<str>| {
        let snapshot = breakers.of(name).map(|circuit| circuit.snapshot(now));
        snapshot.is_some_and(|it| it.state == State::Open && it.mode != Mode::Shadow)
    };
    breakers.iter().map(|circuit| Arc::clone(circuit.name())).filter(is_open).collect()
}

/// Writes lines until the process stops, where the configuration asks for them.
pub(super) async fn tell(
    config: &Config,
    lane: Lane,
    mut observed: Observed,
    stop: impl Future<Output = ()>,
) {
    let Some(emf) = &config.telemetry.emf else { return };
    let dimensions = Dimensions::new(&config.service, &config.namespace, &config.environment);
    let lines = Lines::new(lane, emf.namespace.clone(), dimensions);
    let write = |values: &[(Metric, f64)]| lines.write(clock::wall_us(), values);
    every(emf.every, || observed.look(), write, stop).await;
}

async fn every(
    period: Duration,
    mut look: impl FnMut() -> (Totals, Moves),
    mut write: impl FnMut(&[(Metric, f64)]),
    stop: impl Future<Output = ()>,
) {
    let mut before = Totals::default();
    let mut line = || {
        let (tasks, moves) = look();
        write(&values(tasks.since(before), moves));
        before = tasks;
    };
    let mut ends = interval_at(Instant::from_std(clock::now()) + period, period);
    ends.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::pin!(stop);
    loop {
        tokio::select! {
            _minute = ends.tick() => line(),
            () = &mut stop => break,
        }
    }
    line();
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, time::Duration};

    use tokio::time::sleep;

    use super::every;
    use crate::domain::emf::{Metric, Moves, PERIOD, Totals};

    /// The tasks and the failure rate of a line.
    type Line = (Option<f64>, Option<f64>);

    /// Every line that is written until the stop.
    async fn lines(totals: &RefCell<Totals>, stop: impl Future<Output = ()>) -> Vec<Line> {
        let mut lines = Vec::new();
        let write = |values: &[(Metric, f64)]| {
            let of = |wanted| Some(values.iter().find(|(metric, _)| *metric == wanted)?.1);
            lines.push((of(Metric::TasksPerHour), of(Metric::TaskFailureRate)));
        };
        every(PERIOD, || (*totals.borrow(), Moves::default()), write, stop).await;
        lines
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_is_written_each_minute_also_when_nothing_happens_and_at_the_stop() {
        let totals = RefCell::default();
        let stop = sleep(Duration::from_secs(150));
        assert_eq!(lines(&totals, stop).await, [(Some(0.0), None); 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_tells_of_its_own_minute_only() {
        let totals = RefCell::default();
        let calls = async {
            sleep(Duration::from_secs(30)).await;
            *totals.borrow_mut() = Totals { succeeded: 1, failed: 1, ..Totals::default() };
            sleep(Duration::from_secs(60)).await;
            *totals.borrow_mut() = Totals { succeeded: 2, failed: 1, ..Totals::default() };
            sleep(Duration::from_secs(60)).await;
        };
        let told = lines(&totals, calls).await;
        assert_eq!(told, [(Some(2.0), Some(0.5)), (Some(1.0), Some(0.0)), (Some(0.0), None)]);
    }
}
