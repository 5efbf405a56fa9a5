//! Where the tails get their segments: files as long as they can be had, memory when not.
//!
//! A full disk or a directory that nobody may write to must not stop a call. Then rows are kept in
//! memory, within a bound, and do not survive the process, which is told loudly.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use super::{
    position::Numbers,
    segment::{Header, Page},
};
use crate::{clock, domain::task::Origin};

/// See the module docs.
#[derive(Debug)]
pub(in crate::history) struct Supply {
    /// Where files go; none when there is no directory to be had.
    directory: Option<PathBuf>,
    pub(super) origin: Arc<Origin>,
    numbers: Numbers,
    pub(super) segment_bytes: usize,
    /// Segments in memory, and how many there may be.
    in_memory: AtomicUsize,
    memory_limit: usize,
    hasty: AtomicUsize,
    /// Of these, so many are left to the tails.
    memory_reserve: usize,
    /// Why the last segment is none on disk.
    trouble: Mutex<Option<String>>,
}

impl Supply {
    /// Segments of so many bytes. Without a directory, its error says why.
    pub(super) fn new(
        directory: Result<PathBuf, String>,
        origin: Arc<Origin>,
        numbers: Numbers,
        segment_bytes: usize,
        (memory_limit, memory_reserve): (usize, usize),
    ) -> Self {
        let (directory, trouble) = match directory {
            Ok(directory) => (Some(directory), None),
            Err(trouble) => (None, Some(trouble)),
        };
        Self {
            directory,
            origin,
            numbers,
            segment_bytes,
            in_memory: AtomicUsize::new(0),
            memory_limit,
            hasty: AtomicUsize::new(0),
            memory_reserve,
            trouble: Mutex::new(trouble),
        }
    }

    /// A segment for a worker: a file, or else memory. None when neither can be had.
    pub(in crate::history) fn page(&self, worker: u32) -> Option<Page> {
        self.file(worker).or_else(|| self.memory(worker))
    }

    /// A segment that is a file.
    pub(in crate::history) fn file(&self, worker: u32) -> Option<Page> {
        let directory = self.directory.as_ref()?;
        let made = Page::create(directory, self.header(worker), self.segment_bytes);
        *self.trouble() = made.as_ref().err().map(said);
        made.ok()
    }

    /// A segment in memory, within the bound.
    pub(super) fn memory(&self, worker: u32) -> Option<Page> {
        let below = |used: usize| (used < self.memory_limit).then_some(used + 1);
        self.in_memory.fetch_update(Relaxed, Relaxed, below).ok()?;
        let page = Page::in_memory(self.header(worker), self.segment_bytes);
        if page.is_err() {
            self.in_memory.fetch_sub(1, Relaxed);
        }
        page.ok()
    }

    /// A segment in memory, because the last one was full before the next was made.
    pub(super) fn in_haste(&self, worker: u32) -> Option<Page> {
        if self.directory.is_some() {
            self.hasty.fetch_add(1, Relaxed);
        }
        self.memory(worker)
    }

    /// How often a segment was full before the next was made.
    pub(in crate::history) fn hasty(&self) -> usize {
        self.hasty.load(Relaxed)
    }

    /// A page that nobody needs any more.
    pub(in crate::history) fn take_back(&self, page: &Page) {
        match &page.segment.path {
            None => self.memory_back(),
            // Best effort: what is left is empty, and removed by the next start.
            Some(_) => drop(page.segment.remove()),
        }
    }

    /// A segment in memory is no longer used.
    pub(super) fn memory_back(&self) {
        self.in_memory.fetch_sub(1, Relaxed);
    }

    /// Whether memory is nearly used up.
    pub(super) fn is_memory_scarce(&self) -> bool {
        self.in_memory() + self.memory_reserve > self.memory_limit
    }

    /// How many segments are in memory.
    pub(in crate::history) fn in_memory(&self) -> usize {
        self.in_memory.load(Relaxed)
    }

    /// Why rows do not survive the process; none when they do.
    pub(in crate::history) fn why_in_memory(&self) -> Option<String> {
        self.trouble().clone()
    }

    fn header(&self, worker: u32) -> Header {
        let number = self.numbers.next(clock::wall_us());
        Header { worker, number, origin: Arc::clone(&self.origin) }
    }

    /// Held to swap a text, never across anything that waits.
    fn trouble(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn said(error: &io::Error) -> String {
    error.to_string()
}
