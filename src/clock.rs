//! The clock: the only file that reads one.
//!
//! Rules take `now` as an argument; the shell asks here. [`now`] is monotonic and follows tokio's
//! clock, so that tests with paused time steer it; [`wall_us`] is for people and rows only and is
//! never compared with anything.

use std::time::{Duration, Instant, SystemTime};

/// The monotonic time, for every deadline and duration.
#[expect(clippy::disallowed_methods, reason = "this is the one reader of clocks")]
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The wall clock in microseconds since the Unix epoch, for rows, logs and people.
#[expect(clippy::disallowed_methods, reason = "this is the one reader of clocks")]
pub fn wall_us() -> i64 {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(since_epoch.unwrap_or(Duration::ZERO).as_micros()).unwrap_or(i64::MAX)
}
