//! The time as answers tell it (RFC 9110 §6.6.1), made once a second.

use std::time::{Duration, Instant};

use crate::clock;

/// See the module's text. For the answers of one thread.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Date {
    /// `Sun, 22 Nov 2026 10:00:03 GMT`
    text: String,
    /// When it is another one.
    until: Option<Instant>,
}

impl Date {
    /// The time at this moment.
    pub(super) fn at(&mut self, now: Instant) -> &str {
        if self.until.is_none_or(|until| now >= until) {
            let wall_us = clock::wall_us();
            self.text = text(wall_us.div_euclid(1_000_000));
            let into_second = u64::try_from(wall_us.rem_euclid(1_000_000)).unwrap_or(0);
            self.until = Some(now + Duration::from_secs(1) - Duration::from_micros(into_second));
        }
        &self.text
    }
}

fn text(second: i64) -> String {
    let at = jiff::Timestamp::from_second(second).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::{Date, text};
    use crate::clock;
    use std::time::Duration;

    #[test]
    fn the_form_is_that_of_http() {
        assert_eq!(text(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_made_again_when_the_second_is_over() {
        let mut date = Date::default();
        let now = clock::now();
        date.at(now);
        let until = date.until.unwrap();
        assert!(until > now && until <= now + Duration::from_secs(1));
        date.text.clear();
        assert_eq!(date.at(until - Duration::from_micros(1)), "", "it is the same second");
        assert_ne!(date.at(until), "");
    }
}
