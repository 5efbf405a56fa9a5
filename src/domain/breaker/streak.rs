//! Failures in a row, exact even when a success turns out later to have been none.
//!
//! A success is recorded at the response head; its body may still die. Two rules then decide what
//! is "in a row", and the one that finds more counts:
//!
//! - **Verdicts, in the order in which they were recorded.** A success whose body dies becomes a
//!   failure in its own place, which joins the failures before it and after it. So an upstream that
//!   dies in every body trips as one that fails in every head does.
//! - **Deaths, one after the other.** With many calls at once there always is a younger success
//!   whose body has not died yet, and the first rule alone would never see five together. Only a
//!   body that *ended well* ends this count: it proves that bodies do.

/// Which verdict it was, among all of a generation.
pub(super) type Place = u64;

/// Failures in a row. See the module's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Streak {
    /// The newest 128 verdicts, the newest lowest: ones are failures. A body that dies later than
    /// 128 verdicts after its head can only matter to the second rule.
    failures: u128,
    /// Those of them that were failures to connect.
    by_connection: u128,
    /// Failures in a row before those, while all of those are failures.
    older: u32,
    /// How many verdicts there were.
    recorded: Place,
    /// Bodies that died since one ended well.
    deaths: u32,
}

impl Streak {
    /// Failures in a row, by whichever rule finds more.
    pub(super) fn length(&self) -> u32 {
        self.verdicts_in_a_row().max(self.deaths)
    }

    /// Whether one of them was a failure to connect, or of a health check.
    pub(super) const fn by_connection(&self) -> bool {
        // Failures since the last success are ones at the low end; what they share with their
        // successor ends there.
        let successes_and_before = !self.failures;
        let lowest_success = successes_and_before & successes_and_before.wrapping_neg();
        self.by_connection & lowest_success.wrapping_sub(1) != 0
    }

    /// Whether it matters that a body ended well.
    pub(super) const fn awaits_endings(&self) -> bool {
        self.deaths > 0
    }

    /// A response head was good.
    pub(super) const fn success(&mut self) -> Place {
        self.append();
        self.older = 0;
        self.recorded
    }

    /// An attempt failed before its response head, or by it.
    pub(super) fn failure(&mut self, by_connection: bool) {
        let full = self.failures == u128::MAX;
        self.older = if full { self.older.saturating_add(1) } else { 0 };
        self.append();
        self.failures |= 1;
        self.by_connection |= u128::from(by_connection);
    }

    /// The body of the success at `place` died.
    pub(super) fn died(&mut self, place: Place) {
        let back = u32::try_from(self.recorded - place).unwrap_or(u32::MAX);
        self.failures |= 1_u128.checked_shl(back).unwrap_or(0);
        self.deaths = self.deaths.saturating_add(1);
    }

    /// A body ended well.
    pub(super) const fn ended_well(&mut self) {
        self.deaths = 0;
    }

    const fn append(&mut self) {
        self.recorded += 1;
        self.failures <<= 1;
        self.by_connection <<= 1;
    }

    fn verdicts_in_a_row(&self) -> u32 {
        self.failures.trailing_ones().saturating_add(self.older)
    }
}

#[cfg(test)]
mod tests {
    use super::Streak;
    use proptest::{collection::vec, prelude::proptest};

    /// Runs a script and returns the length after each step. `-`: a failure; `+`: a success whose
    /// body ends at once; `~`: one whose body is under way; `o`/`y`: the oldest or youngest such
    /// body dies; `e`: the oldest ends well.
    fn lengths(script: &str) -> String {
        let (mut streak, mut bodies) = (Streak::default(), Vec::new());
        let step = |step: char| {
            match step {
                '-' => streak.failure(false),
                '+' => {
                    streak.success();
                    streak.ended_well();
                }
                '~' => bodies.push(streak.success()),
                'o' => streak.died(bodies.remove(0)),
                'y' => streak.died(bodies.pop().unwrap()),
                _ => {
                    bodies.remove(0);
                    streak.ended_well();
                }
            }
            streak.length().to_string()
        };
        script.chars().map(step).collect()
    }

    #[test]
    fn a_success_ends_the_streak() {
        assert_eq!(lengths("---+--"), "123012");
    }

    #[test]
    fn a_body_that_dies_restores_the_streak_that_its_head_had_ended() {
        assert_eq!(lengths("---~o"), "12304");
        assert_eq!(lengths("---~-o"), "123015");
        assert_eq!(lengths("~o~o~o~o~o"), "0112233445");
    }

    #[test]
    fn bodies_that_die_together_are_as_many_failures_in_any_order() {
        assert_eq!(lengths("~~~~~ooooo"), "0000012345");
        assert_eq!(lengths("~~~~~yyyyy"), "0000012345");
        assert_eq!(lengths("-~~oy--"), "1001345");
        assert_eq!(lengths("-~~yo--"), "1001345");
    }

    #[test]
    fn younger_heads_do_not_hide_that_every_body_dies() {
        assert_eq!(lengths("~~~~o~o~o~o~o"), "0000112233445");
    }

    #[test]
    fn one_body_that_ends_well_proves_that_bodies_do() {
        assert_eq!(lengths("~~~~~~~oooeo"), "000000012301");
        assert_eq!(lengths("~~~~~~ooo+o"), "00000012301");
    }

    #[test]
    fn a_stream_that_dies_late_restores_nothing_that_others_have_ended() {
        assert_eq!(lengths("----~++++o"), "1234000001");
        assert_eq!(lengths(&format!("----~{}o", "+".repeat(500))).chars().last(), Some('1'));
    }

    #[test]
    fn one_failure_to_connect_marks_the_streak_until_it_ends() {
        let mut streak = Streak::default();
        streak.failure(true);
        streak.failure(false);
        assert!(streak.by_connection());
        let place = streak.success();
        assert!(!streak.by_connection());
        streak.died(place);
        assert!(streak.by_connection(), "restored with the streak");
    }

    #[test]
    fn a_streak_may_be_longer_than_the_memory() {
        let mut streak = Streak::default();
        for length in 1..1_000 {
            streak.failure(true);
            assert_eq!((streak.length(), streak.by_connection()), (length, true));
        }
        streak.success();
        assert_eq!((streak.length(), streak.by_connection()), (0, false));
    }

    proptest! {
        /// Deaths are kept out of it by letting another body end well each time.
        #[test]
        fn the_length_is_that_of_the_list_of_all_verdicts(steps in vec(0_usize..4, 1..120)) {
            let (mut streak, mut failed, mut bodies) = (Streak::default(), Vec::new(), Vec::new());
            for (number, step) in steps.into_iter().enumerate() {
                match (step, bodies.is_empty()) {
                    (0, _) | (2.., true) => {
                        streak.failure(false);
                        failed.push(true);
                    }
                    (1, _) => {
                        bodies.push((failed.len(), streak.success()));
                        failed.push(false);
                    }
                    _ => {
                        let (verdict, place) = bodies.remove(number % bodies.len());
                        failed[verdict] = true;
                        streak.died(place);
                        streak.ended_well();
                    }
                }
                let row = failed.iter().rev().take_while(|failed| **failed).count();
                assert_eq!(streak.length(), u32::try_from(row).unwrap());
            }
        }
    }
}
