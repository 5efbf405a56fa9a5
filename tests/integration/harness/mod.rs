//! Real processes around the real binary: a Fusebox, upstreams that misbehave as told, a link to
//! Postgres that breaks, and a caller that sees every byte.

mod client;
mod command;
mod database;
pub(crate) mod frames;
mod fusebox;
mod held;
mod link;
mod row;
mod upstream;

pub(crate) use client::{Connection, Head, Headers, Response, get, read_head};
pub(crate) use command::{Running, run, run_on};
pub(crate) use database::Database;
pub(crate) use fusebox::{Fusebox, PATIENCE, Setup};
pub(crate) use held::HeldUpstream;
pub(crate) use link::BreakableLink;
pub(crate) use row::{attempts, ending};
pub(crate) use upstream::{Answer, Gate, Received, ScriptedUpstream, Step, raw, stall, status};

use std::time::Duration;

use crate::local::wait_until;

/// Lets so much time pass.
pub(crate) fn pass(time: Duration) {
    let began = ::fusebox::clock::now();
    wait_until("some time has passed", PATIENCE, || {
        (::fusebox::clock::now().duration_since(began) > time).then_some(())
    });
}
