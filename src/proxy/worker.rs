//! One data-plane thread: its runtime, its listeners, its connections.

use std::{
    cell::{Cell, RefCell, RefMut},
    io,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use tokio::{
    runtime::{Builder, LocalOptions},
    sync::{Semaphore, mpsc, watch},
};

use super::{
    doors::{Accepting, Door},
    halls::{Halls, Update},
    plane::{Phase, Shared},
    routes::Upstreams,
    served::Date,
};
use crate::{
    clock,
    domain::{correlation::TraceContext, task::CallRecord},
    history::{Lane, Ticket},
    telemetry::{
        log::call::CallLines,
        traces::{Hops, Tracer},
    },
    upstreams::Hunger,
};

/// How often idle upstream connections are looked through.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// Polls of tasks, about two per call, between two looks at the sockets while there is work. Each
/// look is a system call; a thread that has nothing to do looks at once.
const POLLS_PER_LOOK: u32 = 128;

/// What every exchange of a worker ends in.
#[derive(Debug)]
pub(super) struct Worker {
    history: Lane,
    lines: Option<CallLines>,
    tracer: Option<Tracer>,
    /// Answers ask callers to close, since the plane is about to.
    leaving: Cell<bool>,
    /// The deadline of the drain is over: what is in flight is cut off.
    aborting: Cell<bool>,
    /// What answers tell as the time. Borrowed while it is written only.
    date: RefCell<Date>,
}

impl Worker {
    /// A call is about to be sent on, to this endpoint.
    pub(super) fn begin(&self, record: &CallRecord, endpoint: &Arc<str>) -> Ticket {
        self.history.begin(record, endpoint)
    }

    /// Whether anybody wants to know of a call, and then what is to be kept of it.
    pub(super) fn sample(
        &self,
        trace: &mut TraceContext,
        scheme: &'static str,
    ) -> Option<Box<Hops>> {
        let tracer = self.tracer.as_ref()?;
        tracer.samples(trace).then(|| Hops::begin(trace, scheme, fastrand::u64(..)))
    }

    /// Takes the record of a call that ended. `line` is its site as it stands in log lines.
    pub(super) fn finish(&self, record: &CallRecord, ending: Ending, line: &str) {
        let Ending { begun, hops } = ending;
        if let (Some(tracer), Some(hops)) = (&self.tracer, hops) {
            tracer.tell(record, hops);
        }
        if let Some(lines) = &self.lines {
            let ended_at_us = record.started_at_us.saturating_add_unsigned(record.duration_us);
            lines.write(record, line, ended_at_us);
        }
        self.history.record(record, begun);
    }

    /// What answers tell as the time.
    pub(super) fn date(&self) -> RefMut<'_, Date> {
        self.date.borrow_mut()
    }

    pub(super) const fn is_leaving(&self) -> bool {
        self.leaving.get()
    }

    pub(super) const fn is_aborting(&self) -> bool {
        self.aborting.get()
    }
}

/// What a call leaves besides its record.
#[derive(Debug)]
pub(super) struct Ending {
    /// What the journal gave for it when it was sent on.
    pub(super) begun: Option<Ticket>,
    /// Of a sampled call.
    pub(super) hops: Option<Box<Hops>>,
}

/// What one thread is given.
pub(super) struct Assignment {
    /// Which thread it is.
    pub(super) number: usize,
    pub(super) shared: Shared,
    /// Places for handshakes of TLS, for all threads.
    pub(super) handshakes: Arc<Semaphore>,
    pub(super) doors: Vec<Door>,
    /// Unix sockets that this thread accepts on, for all threads.
    pub(super) accepting: Vec<Accepting>,
    pub(super) history: Lane,
    pub(super) lines: Option<CallLines>,
    pub(super) phase: watch::Receiver<Phase>,
    /// Other configurations.
    pub(super) updates: mpsc::Receiver<Update>,
}

/// Runs a thread of the data plane to its end.
///
/// # Errors
/// The runtime cannot be made, or a socket cannot be registered with it.
pub(super) fn run(assignment: Assignment) -> io::Result<()> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .event_interval(POLLS_PER_LOOK)
        .build_local(LocalOptions::default())?;
    let ended = runtime.block_on(work(assignment));
    // What is left is cut off; a name that is still being looked up is not waited for.
    runtime.shutdown_background();
    ended
}

async fn work(assignment: Assignment) -> io::Result<()> {
    let Assignment { number, shared, handshakes, history, lines, mut phase, .. } = assignment;
    let (doors, accepting, mut updates) =
        (assignment.doors, assignment.accepting, assignment.updates);
    let worker = Rc::new(Worker {
        history,
        lines,
        tracer: shared.tracer.clone(),
        leaving: Cell::new(false),
        aborting: Cell::new(false),
        date: RefCell::default(),
    });
    // Every connection holds a sender; when all are gone, the receiver ends.
    let (alive, mut all_gone) = mpsc::channel::<()>(1);
    let hunger = shared.upstreams.hunger();
    let mut halls = Halls::new(Rc::clone(&worker), number, shared, handshakes, alive);
    halls.open(doors, accepting)?;
    let sweeping = tokio::task::spawn_local(sweep(halls.upstreams(), hunger));
    loop {
        let now = *phase.borrow_and_update();
        worker.leaving.set(now != Phase::Serving);
        halls.enter(now);
        if now == Phase::Aborting {
            worker.aborting.set(true);
            break;
        }
        tokio::select! {
            _ = all_gone.recv() => break,
            changed = phase.changed() => if changed.is_err() { break },
            Some(update) = updates.recv() => halls.renew(update),
        }
    }
    sweeping.abort();
    Ok(())
}

async fn sweep(upstreams: Rc<RefCell<Upstreams>>, mut hunger: Hunger) {
    let mut every = tokio::time::interval(SWEEP_EVERY);
    loop {
        tokio::select! {
            _moment = every.tick() => {
                let now = clock::now();
                upstreams.borrow().values().for_each(|upstream| upstream.sweep(now));
            }
            () = hunger.next() => {
                upstreams.borrow().values().for_each(|upstream| upstream.feed());
            }
        }
    }
}
