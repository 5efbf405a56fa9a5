//! "The error budget of the month is gone in nine hours at this rate."
//!
//! Source: *The Site Reliability Workbook* (Google, 2018), chapter 5: a burn rate counts when a
//! long window and a short one agree, so that it is both significant and still going on.

use crate::domain::learn::formula::share::Share;

/// The time that a budget is for: 30 days, in hours.
const BUDGET_HOURS: f64 = 720.0;
const BUDGET_MINUTES: u32 = 720 * 60;

/// Failures in the long window below which nothing is said.
const ENOUGH: u64 = 10;

/// A long window, a short one, both in minutes, and the burn rate that counts in both.
const WINDOWS: [(u32, u32, f64); 3] = [(60, 5, 14.4), (360, 30, 6.0), (4_320, 360, 1.0)];

/// A budget that is being burnt too fast.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Burn {
    /// How many times faster than the budget allows.
    pub rate: f64,
    /// The long window, in minutes.
    pub window_minutes: u32,
    /// Hours until the budget is gone; 0 where it is.
    pub hours_left: f64,
}

/// The fastest burn of the budget that `objective` leaves (0.999 leaves 0.1 %). `failures` says how
/// many calls failed in the last so many minutes.
pub fn burn(objective: f64, failures: impl Fn(u32) -> Share) -> Option<Burn> {
    let allowed = 1.0 - objective;
    let rate = |minutes| failures(minutes).rate() / allowed;
    // What has just begun is no window yet: there must be calls from before its newer half.
    let is_seen = |long: u32| failures(BUDGET_MINUTES).trials > failures(long / 2).trials;
    let found = WINDOWS.into_iter().find(|&(long, short, factor)| {
        let burns = rate(long) >= factor && rate(short) >= factor;
        failures(long).hits >= ENOUGH && burns && is_seen(long)
    });
    found.map(|(long, ..)| {
        // Whoever has had calls for an hour has had an hour of the budget's time: what the rest of it
        // allows is still there.
        let spent = rate(BUDGET_MINUTES) * f64::from(age_hours(&failures)) / BUDGET_HOURS;
        Burn {
            rate: rate(long),
            window_minutes: long,
            hours_left: (1.0 - spent).max(0.0) * BUDGET_HOURS / rate(long),
        }
    })
}

/// For how many hours there have been calls.
fn age_hours(failures: impl Fn(u32) -> Share) -> u32 {
    let all = failures(BUDGET_MINUTES).trials;
    let hours: Vec<u32> = (1..=BUDGET_MINUTES / 60).collect();
    let younger = hours.partition_point(|&hours| failures(60 * hours).trials < all);
    let last = hours.len().saturating_sub(1);
    hours.get(younger.min(last)).copied().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::burn;
    use crate::domain::learn::formula::share::Share;

    /// 100 calls a minute; `bad` per thousand fail in the last `for_minutes`, one of 10,000 before.
    fn minutes(bad: u64, for_minutes: u32) -> impl Fn(u32) -> Share {
        move |minutes| {
            let recent = u64::from(minutes.min(for_minutes));
            let before = u64::from(minutes) - recent;
            Share::new(recent * bad / 10 + before / 100, u64::from(minutes) * 100)
        }
    }

    #[test]
    fn a_fast_burn_is_seen_in_the_hour_and_says_when_the_budget_is_gone() {
        let burn = burn(0.999, minutes(80, 60)).unwrap();
        assert_eq!(burn.window_minutes, 60);
        assert!((burn.rate - 80.0).abs() < 1e-9, "{burn:?}");
        assert!((7.0..9.0).contains(&burn.hours_left), "{burn:?}");
    }

    #[test]
    fn a_slow_burn_is_seen_in_days() {
        assert_eq!(burn(0.999, minutes(2, 4_320)).unwrap().window_minutes, 4_320);
    }

    #[test]
    fn what_has_just_begun_is_not_extrapolated() {
        let begun = |ago: u32| {
            move |minutes: u32| {
                let seen = u64::from(minutes.min(ago));
                Share::new(seen * 50, seen * 100)
            }
        };
        assert_eq!(burn(0.999, begun(3)), None, "three minutes after the start");
        assert_eq!(burn(0.999, begun(30)), None);
        assert_eq!(burn(0.999, begun(31)).map(|it| it.window_minutes), Some(60));
    }

    #[test]
    fn a_service_that_is_an_hour_old_has_not_spent_a_month() {
        let failing = |per_hundred: u64| {
            move |minutes: u32| {
                let seen = u64::from(minutes.min(40));
                Share::new(seen * per_hundred / 100, seen)
            }
        };
        let left = |per_hundred| burn(0.999, failing(per_hundred)).unwrap().hours_left;
        // At 250 times the rate of a month, that is gone in 2.88 hours, of which one has passed.
        let of_a_month = left(25);
        assert!((of_a_month - 1.88).abs() < 0.01, "{of_a_month}");
        assert!(left(100) < 1e-9, "at a thousand times it is gone in 43 minutes");
    }

    #[test]
    fn what_is_over_and_what_is_allowed_is_not_said() {
        let over = |minutes: u32| {
            let failed = if minutes > 30 { 200 } else { 0 };
            Share::new(failed, u64::from(minutes) * 100)
        };
        assert_eq!(burn(0.999, over), None);
        assert_eq!(burn(0.999, minutes(0, 60)), None);
        assert_eq!(burn(0.999, |_| Share::new(3, 10)), None, "three failures are none to speak of");
    }
}
