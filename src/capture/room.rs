//! Room for copies of bodies: of all calls together, so that many slow ones cannot take the memory.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The most that all copies may hold, in bytes.
const MOST: usize = 64 << 20;

/// What they hold now.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// The room of one copy; given back when it is dropped.
#[derive(Debug, Default)]
pub(super) struct Room(usize);

impl Room {
    /// Makes it so large, if it is not. False where there is not so much left.
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        self.grow_within(bytes, MOST)
    }

    fn grow_within(&mut self, bytes: usize, most: usize) -> bool {
        let more = bytes.saturating_sub(self.0);
        let fits = |taken: usize| taken.checked_add(more).filter(|sum| *sum <= most);
        if more > 0 && TAKEN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
            return false;
        }
        self.0 += more;
        true
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        TAKEN.fetch_sub(self.0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::Room;

    #[test]
    fn what_does_not_fit_is_refused_until_another_has_gone() {
        // Other tests take some too, but never so much.
        const MOST: usize = 1 << 40;
        let (mut one, mut other) = (Room::default(), Room::default());
        assert!(one.grow_within(MOST / 2, MOST) && one.grow_within(MOST / 4, MOST));
        assert!(!other.grow_within(MOST / 2 + 1, MOST));
        assert!(other.grow_within(MOST / 4, MOST));
        drop(one);
        assert!(other.grow_within(MOST / 2 + 1, MOST));
    }
}
