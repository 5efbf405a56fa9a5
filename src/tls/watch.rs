//! Looks at files from time to time, and makes anew what depends on them.
//!
//! Asking for a file's record every few seconds costs nothing and sees what notifications of the
//! system miss: mounted volumes, and links several steps away that are swapped, as Kubernetes and
//! certbot do. A new file that cannot be used leaves everything as it was, and is told once.

use std::{
    path::PathBuf,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::{task::spawn_blocking, time::MissedTickBehavior};

use super::{fault::Faults, identity::Remark, stamp::Stamp};

/// How late a new certificate may be shown.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Something that can be made anew.
pub(super) trait Renew: Send + Sync {
    /// Reads the files again. After an error everything is as it was.
    fn renew(&self) -> Result<Renewed, Faults>;
}

/// Some files, and what was made of them. Cheap to clone.
#[derive(Clone)]
pub(super) struct Watched {
    /// Locked while they are looked at, which only watchers do, on threads that may wait.
    files: Arc<Mutex<Files>>,
    made: Arc<dyn Renew>,
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watched").finish_non_exhaustive()
    }
}

/// Files as they were before they were read.
pub(super) struct Files {
    paths: Vec<PathBuf>,
    seen: Vec<Option<Stamp>>,
}

impl Watched {
    /// To be called before the files are read, so that no change falls in between.
    pub(super) fn begin(paths: Vec<PathBuf>) -> Files {
        let seen = Stamp::all(&paths);
        Files { paths, seen }
    }

    fn files(&self) -> std::sync::MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files {
    /// What was made of them.
    pub(super) fn of(self, made: Arc<dyn Renew>) -> Watched {
        Watched { files: Arc::new(Mutex::new(self)), made }
    }

    /// Whether one of them is not as it was.
    fn have_changed(&mut self) -> bool {
        let now = Stamp::all(&self.paths);
        let before = std::mem::replace(&mut self.seen, now);
        before != self.seen
    }
}

/// What is in use now.
#[derive(Debug)]
pub struct Renewed {
    /// The keys that lead to it: `listeners.egress.tls`.
    pub place: String,
    /// When the certificate expires, if there is one and it says so legibly.
    pub not_after: Option<Timestamp>,
    /// What is odd about it.
    pub remarks: Vec<Remark>,
}

/// What came of files that changed.
#[derive(Debug)]
pub enum News {
    /// They are in use.
    Renewed(Renewed),
    /// They cannot be used; what there was is kept.
    Kept(Faults),
}

/// Watches all files. See the module docs.
pub struct Watcher(Vec<Watched>);

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Watcher").field(&self.0.len()).finish()
    }
}

impl Watcher {
    pub(super) fn new(mut watched: Vec<Watched>) -> Self {
        watched.retain(|one| !one.files().paths.is_empty());
        Self(watched)
    }

    /// Looks every few seconds until `stop`, and tells the log.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut every = tokio::time::interval(LOOK_EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.0.is_empty() {
            tokio::select! {
                () = &mut stop => return,
                _ = every.tick() => {}
            }
            // A volume that is away may keep whoever looks at it waiting.
            let looked = spawn_blocking(move || {
                let news = self.look();
                (self, news)
            });
            let news;
            (self, news) = tokio::select! {
                () = &mut stop => return,
                looked = looked => match looked {
                    Ok(looked) => looked,
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                },
            };
            news.iter().for_each(tell);
        }
    }

    /// Looks at all files once.
    pub fn look(&mut self) -> Vec<News> {
        let changed = self.0.iter().filter(|one| one.files().have_changed());
        let renewed = changed.map(|one| match one.made.renew() {
            Ok(renewed) => News::Renewed(renewed),
            Err(faults) => News::Kept(faults),
        });
        renewed.collect()
    }
}

fn tell(news: &News) {
    match news {
        News::Renewed(Renewed { place, not_after, remarks }) => {
            let not_after = not_after.map(|moment| moment.to_string());
            tracing::info!(place, not_after, "new files of TLS are in use");
            for remark in remarks {
                tracing::warn!(path = remark.path, remark = remark.text, "a file of TLS is odd");
            }
        }
        News::Kept(faults) => {
            for fault in faults.iter() {
                let (path, why) = (&fault.path, fault.message());
                tracing::error!(path, why, "new files of TLS cannot be used: the old ones stay");
            }
        }
    }
}
