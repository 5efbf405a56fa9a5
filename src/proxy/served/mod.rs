//! HTTP/1.1 towards callers, one call at a time.
//!
//! hyper serves callers of HTTP/2, whose calls are many on one connection. Here there is one wait
//! after the other, for a head, for the call and until its answer is written, and so one task without
//! channels: the call's future lives in it, the fields of a head keep the bytes that were read, and
//! the head of an answer goes out in one write with a small body.
//!
//! [`head`] and [`answer`] are the two heads, both pure; a [`caller`] is what comes in, of which a
//! body is `receiving`; and `serving` puts them together. Bodies and their framing are those of
//! [`super::h1`].

mod answer;
mod caller;
mod date;
mod head;
mod outlet;
mod receiving;
mod serving;

pub(super) use self::{date::Date, head::Facts, receiving::Receiving, serving::serve};
