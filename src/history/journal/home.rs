//! The data directory: whose it is, and that nobody else uses it meanwhile.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};

use crate::{clock, domain::task::TaskId};

/// The file that names the journal. The store's cursors go by it.
const JOURNAL_ID: &str = "journal_id";
/// The file that is locked.
const LOCK: &str = "lock";
/// The file that says which store the rows go to.
const PLACE: &str = "store";
/// Entries of the directory above that are looked at.
const MAX_NEIGHBOURS: usize = 1_000;
/// The directory of the segments.
const SEGMENTS: &str = "journal";

/// Why a data directory cannot be used, nor done without.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// Another process has it.
    #[error("another Fusebox uses it: give each its own")]
    InUse,
    /// The id of the journal is damaged.
    #[error(
        "{0} holds no id: it names the journal in the store; put it back, or remove it with the directory"
    )]
    NoId(String),
}

/// A data directory that is ours, or the want of one.
#[derive(Debug)]
pub struct Home {
    journal_id: String,
    segments: Result<PathBuf, String>,
    /// Locked until it is dropped.
    _lock: Option<File>,
}

impl Home {
    /// Makes a directory ours. One that cannot be written to is no error: then nothing is kept
    /// there, and [`Home::segments`] says why.
    ///
    /// # Errors
    /// It is another process's, or damaged.
    pub fn claim(directory: &Path) -> Result<Self, HomeError> {
        match Self::try_claim(directory) {
            Ok(home) => home,
            Err(error) => Ok(Self::nowhere(format!("{}: {error}", directory.display()))),
        }
    }

    /// Makes a directory ours as soon as nobody else has it: a neighbour may be bringing in its
    /// rows, or the process before this one may still be on its way out.
    ///
    /// # Errors
    /// It stays another process's, or is damaged.
    pub fn claim_within(directory: &Path, patience: Duration) -> Result<Self, HomeError> {
        match Self::claim(directory) {
            Err(HomeError::InUse) => {}
            home => return home,
        }
        let (freed, is_freed) = mpsc::sync_channel(1);
        let path = directory.join(LOCK);
        // It ends when the lock is free, or with the process, which does not start without it.
        thread::spawn(move || {
            let lock = File::open(path).map(|lock| flock(&lock, FlockOperation::LockExclusive));
            drop(lock);
            freed.send(()).ok();
        });
        // Freed or not, the next line finds out.
        let _freed = is_freed.recv_timeout(patience);
        Self::claim(directory)
    }

    /// Writes down which store the rows go to, so that others who use it may adopt what is left.
    pub fn mark(&self, place: &str) -> io::Result<()> {
        match &self.segments {
            Ok(segments) => write_private(&segments.with_file_name(PLACE), place),
            Err(_) => Ok(()),
        }
    }

    /// The homes beside this directory whose processes are gone, which have segments, and whose
    /// rows go to the same store. Each becomes ours when it is its turn, so that none is held while
    /// another is brought in.
    pub fn orphans(directory: &Path, place: &str) -> impl Iterator<Item = Self> + Send + use<> {
        let own = directory.canonicalize().unwrap_or_default();
        let entries = own.parent().and_then(|parent| fs::read_dir(parent).ok());
        let others = entries.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
        let place = place.to_owned();
        others
            .take(MAX_NEIGHBOURS)
            .filter(move |path| *path != own)
            .filter(move |path| fs::read_to_string(path.join(PLACE)).is_ok_and(|p| p == place))
            .filter(|path| read_id(path).is_some() && has_segments(path))
            .filter_map(|path| Self::try_claim(&path).ok()?.ok())
    }

    /// A home without a directory.
    pub fn nowhere(why: String) -> Self {
        Self { journal_id: fresh(), segments: Err(why), _lock: None }
    }

    /// The id of the journal: of the directory, or of this process where there is none.
    pub fn journal_id(&self) -> &str {
        &self.journal_id
    }

    /// Where segments go.
    ///
    /// # Errors
    /// Why there is no such place.
    pub fn segments(&self) -> Result<&Path, &str> {
        self.segments.as_deref().map_err(String::as_str)
    }

    fn try_claim(directory: &Path) -> io::Result<Result<Self, HomeError>> {
        let make = |path: &Path| fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        make(directory)?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let lock = options.open(directory.join(LOCK))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(Err(HomeError::InUse)),
            Err(error) => return Err(error.into()),
        }
        let path = directory.join(JOURNAL_ID);
        let journal_id = match fs::read_to_string(&path) {
            Ok(text) if TaskId::parse(text.trim()).is_some() => text.trim().to_owned(),
            // A kill came between making it and writing it.
            Ok(text) if text.is_empty() => name(directory)?,
            Ok(_) => return Ok(Err(HomeError::NoId(path.display().to_string()))),
            Err(error) if error.kind() == ErrorKind::NotFound => name(directory)?,
            Err(error) => return Err(error),
        };
        let segments = directory.join(SEGMENTS);
        make(&segments)?;
        Ok(Ok(Self { journal_id, segments: Ok(segments), _lock: Some(lock) }))
    }
}

/// The longest file that this process may write. The system ends a process that goes on beyond.
pub(in crate::history) fn longest_file() -> u64 {
    rlimit::Resource::FSIZE.get_soft().unwrap_or(u64::MAX)
}

/// Where the segments of a data directory are.
pub(super) fn segments_of(directory: &Path) -> PathBuf {
    directory.join(SEGMENTS)
}

/// The id of a data directory, when it has one.
pub(super) fn read_id(directory: &Path) -> Option<String> {
    let text = fs::read_to_string(directory.join(JOURNAL_ID)).ok()?;
    TaskId::parse(text.trim()).map(|id| id.to_string())
}

/// Whether a process has a data directory.
pub(super) fn is_in_use(directory: &Path) -> bool {
    // The lock that is taken to find out goes with the file.
    let lock = File::open(directory.join(LOCK));
    lock.is_ok_and(|lock| {
        flock(&lock, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK)
    })
}

fn has_segments(directory: &Path) -> bool {
    let entries = fs::read_dir(segments_of(directory));
    entries.is_ok_and(|mut entries| entries.next().is_some())
}

/// Gives a directory its id.
fn name(directory: &Path) -> io::Result<String> {
    let id = fresh();
    write_private(&directory.join(JOURNAL_ID), &id)?;
    Ok(id)
}

/// Writes a file that nobody else may read.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn fresh() -> String {
    TaskId::mint(clock::wall_us(), fastrand::u128(..)).to_string()
}
