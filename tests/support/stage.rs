//! What tests stand on that try the real binary among processes of others.

#[path = "../integration/harness/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "made for the tests of the whole, which need more of it"
)]
pub(crate) mod harness;
#[path = "local.rs"]
pub(crate) mod local;
#[path = "../clients/peer.rs"]
#[expect(dead_code, reason = "shared with tests that need more of it")]
pub(crate) mod peer;
#[path = "postgres.rs"]
#[expect(dead_code, reason = "shared with tests that need more of it")]
pub(crate) mod postgres;
