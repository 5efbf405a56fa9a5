//! Calls as bars over a common span of time, in the block characters of a terminal.
//!
//! A bar begins in the cell of its start and is as long as its duration, to an eighth of a cell; it
//! is never empty, so that a refused call shows too.

/// The time that all bars lie in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    start_us: i64,
    /// At least one, so that it can be divided by.
    length_us: u64,
}

impl Scale {
    /// The shortest scale that holds calls, each a start in microseconds since the Unix epoch and
    /// a duration.
    pub fn of(calls: impl IntoIterator<Item = (i64, u64)> + Clone) -> Self {
        let start_us = calls.clone().into_iter().map(|(start, _)| start).min().unwrap_or(0);
        let ends = calls
            .into_iter()
            .map(|(start, length)| start.abs_diff(start_us).saturating_add(length));
        Self { start_us, length_us: ends.max().unwrap_or(0).max(1) }
    }

    /// From the first start to the last end.
    pub const fn length_us(self) -> u64 {
        self.length_us
    }

    /// How long after the first start.
    pub const fn offset_us(self, started_us: i64) -> u64 {
        started_us.abs_diff(self.start_us)
    }

    /// The bar of a call, with the empty cells before it, at most `width` cells.
    pub fn bar(self, started_us: i64, duration_us: u64, width: usize) -> String {
        const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
        let cells = |us: u64, per_cell: u128| {
            let cells = u128::from(us) * width as u128 * per_cell / u128::from(self.length_us);
            usize::try_from(cells).unwrap_or(usize::MAX)
        };
        if width == 0 {
            return String::new();
        }
        let before = cells(self.offset_us(started_us), 1).min(width - 1);
        let eighths = cells(duration_us, 8).clamp(1, (width - before) * 8);
        let full = "█".repeat(eighths / 8);
        format!("{}{full}{}", " ".repeat(before), EIGHTHS[eighths % 8])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use super::Scale;

    #[test]
    fn bars_stand_where_and_as_long_as_their_calls() {
        let scale = Scale::of([(1_000, 800), (1_200, 100), (1_790, 10)]);
        for (start, duration, bar) in [
            (1_000, 800, "████████"),
            (1_000, 400, "████"),
            (1_200, 100, "  █"),
            (1_200, 150, "  █▌"),
            (1_400, 50, "    ▌"),
            (1_100, 0, " ▏"),
            (1_790, 10, "       ▏"),
            (1_800, 0, "       ▏"),
            (1_700, 9_000, "       █"),
        ] {
            assert_eq!(scale.bar(start, duration, 8), bar, "{start}+{duration}");
        }
        assert_eq!((scale.length_us(), scale.offset_us(1_200)), (800, 200));
    }

    #[test]
    fn one_call_that_took_no_time_still_has_a_bar() {
        let scale = Scale::of([(5, 0)]);
        assert_eq!(scale.bar(5, 0, 4), "▏");
        assert_eq!(scale.bar(5, 0, 0), "");
    }

    proptest! {
        #[test]
        fn a_bar_fits_its_width_and_is_never_empty(
            calls: Vec<(i64, u32)>, width in 1_usize..200,
        ) {
            let calls: Vec<(i64, u64)> =
                calls.into_iter().map(|(start, length)| (start / 4, length.into())).collect();
            let scale = Scale::of(calls.iter().copied());
            for (start, duration) in calls {
                let bar = scale.bar(start, duration, width);
                assert!((1..=width).contains(&bar.chars().count()), "{bar:?}");
                assert!(!bar.ends_with(' '));
            }
        }
    }
}
