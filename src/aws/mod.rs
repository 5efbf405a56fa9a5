//! AWS as far as a sidecar needs it: which task it is, and how it signs in to its database.
//!
//! Three questions to addresses that are within the machine, and one signature; no client of AWS
//! and no call to its services. Where nothing of AWS is in the environment nobody is asked.

mod ask;
mod credentials;
mod signature;
pub mod task;
pub mod token;

pub use ask::AskError;
pub use credentials::{Credentials, KeysError};
