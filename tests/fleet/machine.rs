//! Whose turn it is: what is measured has the machine to itself.

use std::sync::{PoisonError, RwLock, RwLockReadGuard};

static MACHINE: RwLock<()> = RwLock::new(());

/// Others may run meanwhile.
pub(super) fn shared() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().unwrap_or_else(PoisonError::into_inner)
}

/// No other test of this binary runs meanwhile.
#[cfg(feature = "long-tests")]
pub(super) fn alone() -> std::sync::RwLockWriteGuard<'static, ()> {
    MACHINE.write().unwrap_or_else(PoisonError::into_inner)
}
