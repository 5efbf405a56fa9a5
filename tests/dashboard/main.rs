//! The dashboard in a real browser: what its pages show, how a circuit is steered with them, and
//! whether everybody can use them.
//!
//! Each test is a Fusebox of its own, the real binary, and a script that looks at it with Chromium.
//! `tests/run` installs the browser, and what drives it with Python.

#![expect(clippy::print_stderr, reason = "the test runner shows it with a failure")]

#[path = "../support/stage.rs"]
mod stage;

use stage::{harness, local, peer, postgres};

mod fleet;
mod looks;
mod pages;
mod scene;
