//! Rows in the binary format of COPY.
//!
//! Encoded by hand in one pass: of all ways to send a thousand rows it costs the sender the least.

use bytes::BufMut;

use crate::{
    domain::task::{CallRecord, Origin},
    store::rows::{Cell, TASK_COLUMNS, put_task},
};

/// Encodes calls as one whole COPY stream of [`TASK_COLUMNS`].
pub(super) fn encode(calls: &[CallRecord], origin: &Origin, out: &mut Vec<u8>) {
    out.clear();
    out.reserve(calls.len() * TYPICAL_ROW + SIGNATURE.len() + size_of::<i16>());
    out.put_slice(SIGNATURE);
    for call in calls {
        out.put_i16(i16::try_from(TASK_COLUMNS.len()).unwrap_or(i16::MAX));
        put_task(call, origin, |cell| put_cell(out, cell));
    }
    out.put_i16(-1);
}

#[expect(clippy::inline_always, reason = "where it is called the kind of the cell is known")]
#[inline(always)]
fn put_cell(out: &mut Vec<u8>, cell: Cell<'_>) {
    match cell {
        Cell::Null => out.put_i32(-1),
        Cell::Time(us) => put(out, us.saturating_sub(POSTGRES_EPOCH_US).to_be_bytes()),
        Cell::Id(bits) => put(out, bits.to_be_bytes()),
        Cell::Trace(id) => put(out, id.encode()),
        Cell::Text(text) => put_bytes(out, text.as_bytes()),
        Cell::Ascii(text) => put_bytes(out, text),
        Cell::Small(number) => put(out, number.to_be_bytes()),
        Cell::Int(number) => put(out, number.to_be_bytes()),
        Cell::Big(number) => put(out, number.to_be_bytes()),
        Cell::Real(number) => put(out, number.to_be_bytes()),
        Cell::Double(number) => put(out, number.to_be_bytes()),
        Cell::Json(text) => {
            out.put_i32(length(text.len() + 1));
            out.put_u8(JSONB_VERSION);
            out.put_slice(text.as_bytes());
        }
    }
}

/// Appends a value of a fixed length.
fn put<const N: usize>(out: &mut Vec<u8>, value: [u8; N]) {
    out.reserve(size_of::<i32>() + N);
    out.put_i32(length(N));
    out.put_slice(&value);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(size_of::<i32>() + bytes.len());
    out.put_i32(length(bytes.len()));
    out.put_slice(bytes);
}

/// A length of the protocol. Longer values than 2 GiB do not exist here.
fn length(bytes: usize) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX)
}

/// The signature, no flags, no extension.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// Room for a row, so that a batch is encoded without growing.
const TYPICAL_ROW: usize = 640;
/// What Postgres counts its microseconds from: 2000-01-01.
const POSTGRES_EPOCH_US: i64 = 946_684_800_000_000;
/// The first byte of a binary `jsonb`.
const JSONB_VERSION: u8 = 1;
