//! Tells when a file may have changed.
//!
//! The system's notifications about the directory that the file is in bring the news at once, however
//! it is written: in place, by renaming another over it as editors do, or by swapping a link beside
//! it as Kubernetes does. A look every few seconds brings what they do not: a link into another
//! directory, a mounted volume, a system without notifications. Which file it was is known by its
//! record ([`Stamp`]), without reading it.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::{
    io::unix::AsyncFd,
    task::{JoinError, spawn_blocking},
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{clock, tls::Stamp};

/// How often it is looked at without a notification.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A change is over when nothing has happened for so long, so that no half of a file is read.
const QUIET: Duration = Duration::from_millis(50);

/// And at the latest after so long.
const IMPATIENT: Duration = Duration::from_secs(1);

/// Notifications are read in pieces of this size, in bytes; what they say does not matter.
const PIECE: usize = 4_096;

/// A watched file. See the module docs.
#[derive(Debug)]
pub(super) struct Watched {
    path: PathBuf,
    seen: Option<Stamp>,
    /// None where the system gives none.
    notifications: Option<AsyncFd<OwnedFd>>,
}

impl Watched {
    /// A file as it is now; its changes from now on count.
    pub(super) fn new(path: &Path) -> Self {
        let notifications = notifications(path);
        if let Err(error) = &notifications {
            let every_ms = u64::try_from(LOOK_EVERY.as_millis()).unwrap_or(u64::MAX);
            tracing::info!(%error, every_ms, "the configuration's file is looked at from time to time");
        }
        Self { path: path.to_owned(), seen: Stamp::of(path), notifications: notifications.ok() }
    }

    /// Waits until it is another file than before, and its writer seems to be done.
    pub(super) async fn changed(&mut self) {
        let mut look_at = Instant::from_std(clock::now()) + LOOK_EVERY;
        loop {
            let is_told = tokio::select! {
                () = told(self.notifications.as_ref()) => true,
                () = sleep_until(look_at) => false,
            };
            if is_told {
                let quiet = async {
                    while timeout(QUIET, told(self.notifications.as_ref())).await.is_ok() {}
                };
                // An endless stream of changes elsewhere in the directory must not hide one here.
                let _quiet_or_impatient = timeout(IMPATIENT, quiet).await;
            }
            look_at = Instant::from_std(clock::now()) + LOOK_EVERY;
            if self.is_other().await {
                return;
            }
        }
    }

    /// Whether it is another file than when this was last asked.
    async fn is_other(&mut self) -> bool {
        let Ok(mut now) = stamp_of(self.path.clone()).await else { return false };
        if now == self.seen {
            return false;
        }
        // Its writer may not be done, and what is gone may be about to return: until it stays the same.
        let until = clock::now() + IMPATIENT;
        loop {
            sleep(QUIET).await;
            let Ok(after) = stamp_of(self.path.clone()).await else { return false };
            let is_settled = after == now || clock::now() >= until;
            now = after;
            if is_settled {
                self.seen = now;
                return true;
            }
        }
    }
}

/// Looks at a file on a thread of its own: a volume that is away may keep whoever does waiting.
///
/// # Errors
/// The runtime ends.
async fn stamp_of(path: PathBuf) -> Result<Option<Stamp>, JoinError> {
    spawn_blocking(move || Stamp::of(&path)).await
}

/// Asks for notifications about everything in the directory of a file.
fn notifications(path: &Path) -> io::Result<AsyncFd<OwnedFd>> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = parent.unwrap_or_else(|| Path::new("."));
    let line = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let changes = WatchFlags::CLOSE_WRITE
        | WatchFlags::MODIFY
        | WatchFlags::CREATE
        | WatchFlags::DELETE
        | WatchFlags::MOVED_TO
        | WatchFlags::MOVED_FROM;
    inotify::add_watch(&line, directory, changes)?;
    #[expect(
        deprecated,
        reason = "an owned descriptor stays what it is, and what is to be used instead is unsafe"
    )]
    AsyncFd::new(line)
}

/// Waits for notifications and takes all that there are. It waits for ever where there are none.
async fn told(line: Option<&AsyncFd<OwnedFd>>) {
    let Some(line) = line else { return std::future::pending().await };
    loop {
        let Ok(mut ready) = line.readable().await else { return std::future::pending().await };
        let mut piece = [0; PIECE];
        let read = ready.try_io(|line| Ok(rustix::io::read(line.get_ref(), &mut piece)?));
        match read {
            Ok(Ok(length)) if length > 0 => return,
            Ok(_) => return std::future::pending().await,
            Err(_would_block) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, path::PathBuf, time::Duration};

    use tokio::time::timeout;

    use super::Watched;

    /// A directory of this test's own.
    fn directory(name: &str) -> PathBuf {
        let directory =
            std::env::temp_dir().join(format!("fusebox-watched-{}-{name}", std::process::id()));
        drop(fs::remove_dir_all(&directory));
        fs::create_dir_all(&directory).unwrap();
        directory
    }

    async fn notices(watched: &mut Watched) {
        timeout(Duration::from_secs(20), watched.changed()).await.expect("it is noticed");
    }

    #[tokio::test]
    async fn a_file_that_is_written_in_place_renamed_over_or_removed_is_another() {
        let directory = directory("editors");
        let file = directory.join("fusebox.yaml");
        fs::write(&file, "one").unwrap();
        let mut watched = Watched::new(&file);
        fs::write(&file, "three").unwrap();
        notices(&mut watched).await;
        fs::write(directory.join("new"), "eleven").unwrap();
        fs::rename(directory.join("new"), &file).unwrap();
        notices(&mut watched).await;
        fs::remove_file(&file).unwrap();
        notices(&mut watched).await;
        fs::write(&file, "back").unwrap();
        notices(&mut watched).await;
        fs::remove_dir_all(&directory).unwrap();
    }

    #[tokio::test]
    async fn a_link_that_is_swapped_two_steps_away_is_noticed() {
        let directory = directory("links");
        for version in ["1", "2"] {
            fs::create_dir(directory.join(version)).unwrap();
            fs::write(directory.join(version).join("fusebox.yaml"), version.repeat(9)).unwrap();
        }
        symlink("1", directory.join("..data")).unwrap();
        let file = directory.join("fusebox.yaml");
        symlink("..data/fusebox.yaml", &file).unwrap();
        let mut watched = Watched::new(&file);
        symlink("2", directory.join("..data_tmp")).unwrap();
        fs::rename(directory.join("..data_tmp"), directory.join("..data")).unwrap();
        notices(&mut watched).await;
        fs::remove_dir_all(&directory).unwrap();
    }

    #[tokio::test]
    async fn what_the_system_does_not_tell_of_is_noticed_by_looking() {
        let directory = directory("polls");
        let file = directory.join("fusebox.yaml");
        fs::write(&file, "one").unwrap();
        let mut watched = Watched::new(&file);
        watched.notifications = None;
        fs::write(&file, "three").unwrap();
        notices(&mut watched).await;
        fs::remove_dir_all(&directory).unwrap();
    }
}
