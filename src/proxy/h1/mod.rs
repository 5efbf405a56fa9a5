//! HTTP/1.1 towards upstreams, driven by the call that needs it.
//!
//! hyper's client wants a task for every connection and channels to and from it, which costs more
//! than all that the task does. Here the call's own future writes the request, reads the answer's
//! head and hands on a body that reads from the same connection; no task is woken on the way.
//!
//! [`head`] and [`answer`] are the two heads and [`decoder`] the body, all three pure; `sending` and
//! `arriving` are the two directions of a [`connection`], and [`call`] puts them together. What is
//! ambiguous is refused, and everything that an upstream can make grow has a limit.
//!
//! What is the same towards callers, [`super::served`] uses: bodies out of bytes and messages into
//! them.

use std::io;

use crate::{domain::outcome::Reason, tls::Failure};

mod answer;
mod arriving;
mod call;
mod connection;
mod decoder;
pub(super) mod head;
mod inflow;
mod sending;

pub(super) use self::{
    answer::number,
    arriving::Arriving,
    call::Call,
    connection::{Outbound, Switched},
    decoder::{Decoder, Framing},
    inflow::Inflow,
    sending::Sending,
};

/// Why an exchange of messages cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    /// The other side closed the connection, or the network did.
    #[error("the connection ended early")]
    Connection,
    /// The upstream ended the TLS session, as it does with a caller that it does not know.
    #[error("the TLS session was ended")]
    Tls(Reason),
    /// What was sent is no HTTP, or could be read in two ways.
    #[error("the message is malformed")]
    Malformed,
    /// The body to be sent ended early, or is not what its head said.
    #[error("the request's body is broken")]
    Request,
}

impl Broken {
    /// What it means that the connection cannot be read.
    fn of(error: &io::Error) -> Self {
        Failure::within(error).map_or(Self::Connection, |failure| Self::Tls(failure.reason))
    }
}
