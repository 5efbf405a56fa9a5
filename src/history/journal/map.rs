//! The memory of a file: the one place of the program that needs `unsafe`.
//!
//! Why it is worth it: a record written with a system call costs several times what it costs to
//! copy it here, and either survives the process. What the language asks for in return: nothing may
//! cut the file short or write to it through another mapping while it is mapped. Segments are
//! allocated in full before they are mapped, never truncated, written by the one tail that holds the
//! mapping, and read by everybody else with `pread`.

#![expect(unsafe_code, reason = "mapping a file is unsafe; see the module's docs for what holds")]

use std::{fs::File, io};

use memmap2::{MmapMut, MmapOptions};

/// Maps the first `length` bytes of a file, which must have them.
///
/// # Errors
/// The system refuses.
pub(super) fn map(file: &File, length: usize) -> io::Result<MmapMut> {
    // SAFETY: see the module's docs. The file is ours, locked with its directory, and has its length.
    unsafe { MmapOptions::new().len(length).map_mut(file) }
}
