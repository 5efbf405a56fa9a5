//! When one of many does what one of them is to do: few at once, however many there are.
//!
//! Each draws a moment for itself. In the first part of the time about eight come, in each that
//! follows four times as many, so that little time is lost where few of them can do it. A part is as
//! long as it takes until a share of the others has seen that it is done.

use std::time::{Duration, Instant};

use super::mind::Company;

/// How long a part is at least.
const SPREAD: Duration = Duration::from_millis(500);
/// As many come in the first part, about.
const CANDIDATES: u64 = 8;

/// The moment at which an instance does something in one epoch.
#[derive(Debug, Clone, Default)]
pub(super) struct Turn(Option<(u64, Instant)>);

impl Turn {
    /// Whether it has come, drawn with this delay when it was first asked for in this epoch. Once it
    /// has come, the next is as far away again.
    pub(super) fn has_come(
        &mut self,
        epoch: u64,
        (delay, again): (Duration, Duration),
        now: Instant,
    ) -> bool {
        let at = match self.0 {
            Some((of, at)) if of == epoch => at,
            _ => now + delay,
        };
        let has_come = at <= now;
        self.0 = Some((epoch, if has_come { now + again + delay } else { at }));
        has_come
    }
}

/// How long a part of the time is.
pub(super) fn spread(company: &Company) -> Duration {
    SPREAD.max(company.poll_every / 2)
}

/// How long one of so many waits before it does it. One that is alone with it does not.
pub(super) fn delay(many: u32, company: &Company, dice: u128) -> Duration {
    if many <= 1 || company.live <= 1 {
        return Duration::ZERO;
    }
    let [a, b, c, d, e, f, g, h, ..] = dice.to_le_bytes();
    let (draw, part) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
    let share = |round: u32| {
        (CANDIDATES.saturating_mul(4_u64.saturating_pow(round)) << 32) / u64::from(many.max(1))
    };
    let round = (0..12).find(|&round| u64::from(draw) < share(round)).unwrap_or(12);
    let spread = spread(company);
    spread * round + spread.mul_f64(f64::from(part) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Company, SPREAD, Turn, delay};

    const fn company(live: u32) -> Company {
        Company {
            ballot: 0,
            live,
            is_settled: true,
            counted_since: None,
            poll_every: Duration::from_secs(1),
        }
    }

    #[test]
    fn few_come_first_however_many_there_are() {
        for live in [2_u32, 20, 1_000, 10_000] {
            let first = (0..u64::from(live)).filter(|&number| {
                let dice = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                delay(live, &company(live), u128::from(dice)) <= SPREAD
            });
            let first = first.count();
            assert!((1..=20).contains(&first), "{first} of {live}");
        }
        assert_eq!(delay(1, &company(1), u128::MAX), Duration::ZERO, "one that is alone");
        assert_eq!(delay(1, &company(20), u128::MAX), Duration::ZERO, "alone with its breaker");
    }

    #[test]
    fn a_turn_is_drawn_once_in_an_epoch() {
        let now = crate::clock::now();
        let after = |ms: u64| -> Instant { now + Duration::from_millis(ms) };
        let wait = |ms: u64| (Duration::from_millis(ms), SPREAD);
        let mut turn = Turn::default();
        assert!(!turn.has_come(1, wait(100), now));
        assert!(!turn.has_come(1, wait(0), after(99)), "the draw of the first time counts");
        assert!(turn.has_come(1, wait(100), after(100)));
        assert!(!turn.has_come(1, wait(100), after(699)), "not again at once");
        assert!(turn.has_come(1, wait(100), after(700)));
        assert!(turn.has_come(2, wait(0), after(701)), "another epoch, another draw");
    }
}
