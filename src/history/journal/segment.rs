//! A segment: one file of the journal, or the same in memory where no file can be had.
//!
//! It is allocated in full before it is used and never grows or shrinks. Its first frame says whose
//! it is. It is written through a [`Page`], by one worker, and read with `pread`, by whoever likes.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use memmap2::MmapMut;
use rustix::fs::{FallocateFlags, MemfdFlags, fallocate, ftruncate, memfd_create};

use super::{
    bytes::{Reader, Writer},
    frame::{self, Found, HEAD, Kind},
    home::longest_file,
    map::map,
    vocabulary::{self, Vocabulary},
};
use crate::domain::task::Origin;

/// What every file of a journal begins with; the last byte is the version of the format.
pub(super) const MAGIC: [u8; 8] = *b"FUSEBOX\x01";

/// How the names of segments end.
pub(super) const EXTENSION: &str = "journal";

/// Whose a segment is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) worker: u32,
    pub(super) number: u64,
    pub(super) origin: Arc<Origin>,
}

/// What is wrong with a file that should be a segment.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    /// Allocated, never written: a process was killed while it made it.
    #[error("it was never used")]
    Blank,
    /// Another format.
    #[error("it has format {0} and this version reads format {current}: start the version that wrote it, which sends its rows", current = MAGIC[7])]
    Version(u8),
    /// Not ours.
    #[error("it is no journal of Fusebox")]
    Foreign,
    /// Its first record is damaged, so that nobody knows whose the others are.
    #[error("its header is damaged")]
    Damaged,
    /// The file cannot be read.
    #[error("it cannot be read")]
    Io(#[from] io::Error),
}

/// A segment, for reading. See the module docs.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) header: Header,
    /// The path; none for one in memory.
    pub(super) path: Option<PathBuf>,
    pub(super) length: usize,
    /// Where its records begin, and the names that the header tells.
    pub(super) first: usize,
    pub(super) words: Vocabulary,
    file: File,
}

impl Segment {
    /// Opens a file that is there.
    ///
    /// # Errors
    /// It is no segment that this version reads.
    pub(super) fn open(path: &Path) -> Result<Self, Unreadable> {
        let file = File::open(path)?;
        let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        let mut front = vec![0; length.min(MAX_HEADER)];
        file.read_exact_at(&mut front, 0)?;
        let Some((magic, _)) = front.split_first_chunk::<8>() else {
            return Err(if length == 0 { Unreadable::Blank } else { Unreadable::Foreign });
        };
        if *magic != MAGIC {
            return Err(match magic {
                [0, ..] if front.iter().all(|&byte| byte == 0) => Unreadable::Blank,
                [name @ .., version] if *name == MAGIC[..7] => Unreadable::Version(*version),
                _ => Unreadable::Foreign,
            });
        }
        let Found::Frame(found) = frame::at(&front, MAGIC.len(), 0) else {
            return Err(Unreadable::Damaged);
        };
        let (header, words) = Some(found.payload)
            .filter(|_| found.kind == Kind::Header)
            .and_then(read_header)
            .ok_or(Unreadable::Damaged)?;
        Ok(Self { header, path: Some(path.to_owned()), length, first: found.end, words, file })
    }

    /// The seed of its checksums.
    pub(super) const fn seed(&self) -> u64 {
        self.header.number
    }

    /// Reads bytes into a buffer, which is filled.
    pub(super) fn read_at(&self, buffer: &mut [u8], offset: usize) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset as u64)
    }

    /// Removes the file. One in memory goes with its last user.
    pub(super) fn remove(&self) -> io::Result<()> {
        match &self.path {
            Some(path) => fs::remove_file(path),
            None => Ok(()),
        }
    }
}

/// A segment, for writing.
#[derive(Debug)]
pub(in crate::history) struct Page {
    pub(super) segment: Arc<Segment>,
    map: MmapMut,
    /// Where the next frame goes.
    pub(super) end: usize,
    /// Where the first frame after the names goes.
    records: usize,
}

impl Page {
    /// Makes a file of so many bytes, all of them allocated, and begins it.
    ///
    /// # Errors
    /// The file cannot be made, or there is no room for it.
    pub(super) fn create(directory: &Path, header: Header, length: usize) -> io::Result<Self> {
        let path =
            directory.join(format!("{:03}-{:011}.{EXTENSION}", header.worker, header.number));
        let file =
            OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        let made = allocate(&file, length)
            .and_then(|()| Self::begin(file, Some(path.clone()), header, length));
        if made.is_err() {
            // Best effort: what is left is blank, and removed by the next start.
            let _blank = fs::remove_file(&path);
        }
        made
    }

    /// Makes one in memory, which dies with the process.
    ///
    /// # Errors
    /// The system refuses.
    pub(super) fn in_memory(header: Header, length: usize) -> io::Result<Self> {
        check_length(length)?;
        let file = memfd_create("fusebox-journal", MemfdFlags::CLOEXEC)?;
        ftruncate(&file, length as u64)?;
        Self::begin(file.into(), None, header, length)
    }

    fn begin(file: File, path: Option<PathBuf>, header: Header, length: usize) -> io::Result<Self> {
        let mut payload = Vec::new();
        put_header(&mut payload, &header);
        let words = Vocabulary::read(&mut Reader(&names())).unwrap_or_default();
        let first = MAGIC.len() + HEAD + payload.len();
        let map = map(&file, length)?;
        let segment = Segment { header, path, length, first, words, file };
        let mut page = Self { segment: Arc::new(segment), map, end: MAGIC.len(), records: first };
        let head = frame::head(Kind::Header, &payload, 0);
        page.copy(&head, &payload).ok_or(io::ErrorKind::StorageFull)?;
        // Last, so that a file without it was never used.
        page.map[..MAGIC.len()].copy_from_slice(&MAGIC);
        Ok(page)
    }

    /// Whether what is written survives the process.
    pub(super) fn is_file(&self) -> bool {
        self.segment.path.is_some()
    }

    /// From here on it holds records.
    pub(super) const fn begin_records(&mut self) {
        self.records = self.end;
    }

    /// Whether there are records in it.
    pub(super) const fn has_records(&self) -> bool {
        self.end > self.records
    }

    /// Appends a frame; returns where its payload begins, or none when there is no room.
    pub(super) fn put(&mut self, kind: Kind, payload: &[u8]) -> Option<usize> {
        let head = frame::head(kind, payload, self.segment.seed());
        self.copy(&head, payload)
    }

    /// Overwrites bytes that no checksum covers.
    pub(super) fn patch(&mut self, offset: usize, bytes: &[u8]) {
        if let Some(place) = self.map.get_mut(offset..offset + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }

    fn copy(&mut self, head: &[u8; HEAD], payload: &[u8]) -> Option<usize> {
        let room = self.map.get_mut(self.end..self.end + HEAD + payload.len())?;
        let (front, rest) = room.split_at_mut(HEAD);
        // The payload first: a kill in between leaves no head without its payload.
        rest.copy_from_slice(payload);
        front.copy_from_slice(head);
        let begins = self.end + HEAD;
        self.end = begins + payload.len();
        Some(begins)
    }
}

/// The system would not only refuse a longer one, but end the process. Memory files count too.
fn check_length(length: usize) -> io::Result<()> {
    if length as u64 > longest_file() {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(())
}

/// Allocates a file in full, so that writing to its memory cannot fail, and fills it with zeros:
/// written in large pieces its memory comes in large pieces too, and a record costs a third of what
/// it costs where the first touch of every page has to fetch it.
fn allocate(file: &File, length: usize) -> io::Result<()> {
    check_length(length)?;
    let is_allocated = match fallocate(file, FallocateFlags::empty(), 0, length as u64) {
        Ok(()) => true,
        // Network file systems cannot; the zeros do the same, once they are there.
        Err(rustix::io::Errno::OPNOTSUPP) => false,
        Err(error) => return Err(error.into()),
    };
    let (zeros, mut written) = (vec![0; PIECE.min(length)], 0);
    while written < length {
        let some = zeros.len().min(length - written);
        file.write_all_at(&zeros[..some], written as u64)?;
        written += some;
    }
    if is_allocated { Ok(()) } else { file.sync_data() }
}

fn names() -> Vec<u8> {
    let mut names = Vec::new();
    vocabulary::put_names(&mut names);
    names
}

fn put_header(out: &mut Vec<u8>, header: &Header) {
    let mut to = Writer(out);
    to.u32(header.worker);
    to.u64(header.number);
    let origin = &header.origin;
    for text in [&origin.namespace, &origin.service, &origin.version, &origin.instance] {
        to.text(text);
    }
    vocabulary::put_names(out);
}

fn read_header(payload: &[u8]) -> Option<(Header, Vocabulary)> {
    let mut from = Reader(payload);
    let (worker, number) = (from.u32()?, from.u64()?);
    let mut text = || from.text().map(str::to_owned);
    let origin =
        Origin { namespace: text()?, service: text()?, version: text()?, instance: text()? };
    let words = Vocabulary::read(&mut from)?;
    Some((Header { worker, number, origin: Arc::new(origin) }, words))
}

/// More than any header has.
const MAX_HEADER: usize = 1 << 18;
/// As much of a file is written at once.
const PIECE: usize = 1 << 20;
