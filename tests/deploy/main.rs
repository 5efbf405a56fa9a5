//! What deploys Fusebox: that it is what those who read it expect, and that it does what it says.
//!
//! Nothing here needs an account or a container engine: AWS is a double on loopback, the image's file
//! system is put together by hand. Where an engine answers, the long tests try it too. `tests/run`
//! installs the programs.

#![expect(clippy::print_stderr, reason = "the test runner shows it with a failure")]

#[path = "../support/stage.rs"]
mod stage;

use stage::{harness, local, peer, postgres};

mod cloud;
mod compose;
mod definitions;
#[cfg(feature = "long-tests")]
mod engine;
#[cfg(feature = "long-tests")]
mod failover;
mod files;
mod identity;
mod image;
mod refusals;
mod release;
mod reviewed;
#[cfg(feature = "long-tests")]
mod rolling;
#[cfg(feature = "long-tests")]
mod rotation;
mod scripts;
mod sign_in;
mod unanswered;
