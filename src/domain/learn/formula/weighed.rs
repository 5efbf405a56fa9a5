//! A share of trials of which some stand for several, as rows do where they are thinned.

use super::{moments::whole, share::Share};

/// So many hits of so many trials, and what they weigh as evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Weighed {
    /// What they stand for.
    pub share: Share,
    /// The sum of the squares of what each hit stands for.
    pub hit_squares: u64,
    /// The same of all trials.
    pub squares: u64,
}

impl Weighed {
    /// One trial that stands for so many.
    pub fn one(is_hit: bool, weight: u64) -> Self {
        let of_hit = |of_all: u64| if is_hit { of_all } else { 0 };
        let squares = weight.saturating_mul(weight);
        Self { share: Share::new(of_hit(weight), weight), hit_squares: of_hit(squares), squares }
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            share: self.share.plus(other.share),
            hit_squares: self.hit_squares.saturating_add(other.hit_squares),
            squares: self.squares.saturating_add(other.squares),
        }
    }

    /// What is left without a part of it.
    #[must_use]
    pub const fn without(self, part: Self) -> Self {
        Self {
            share: Share::new(
                self.share.hits.saturating_sub(part.share.hits),
                self.share.trials.saturating_sub(part.share.trials),
            ),
            hit_squares: self.hit_squares.saturating_sub(part.hit_squares),
            squares: self.squares.saturating_sub(part.squares),
        }
    }

    /// The share of as many trials, each standing for itself, as would tell as much. Hits and misses
    /// weigh differently where only one of them is thinned, so that it is the variance of the
    /// weighted share that decides: p(1 − p) over Σw²(x − p)²/(Σw)², and (Σw)²/Σw² where there is
    /// nothing but one of them.
    ///
    /// Source: W. G. Cochran, *Sampling Techniques* (1977), §6.4, the variance of a ratio; L. Kish,
    /// *Survey Sampling* (1965), §8.2.
    pub fn effective(&self) -> Share {
        let Share { hits, trials } = self.share;
        if self.squares == trials {
            return self.share;
        }
        let (all, rate) = (trials as f64, self.share.rate());
        let of_misses = self.squares.saturating_sub(self.hit_squares) as f64;
        let spread = self.hit_squares as f64 * (1.0 - rate).powi(2) + of_misses * rate.powi(2);
        let told = if 0 < hits && hits < trials && spread > 0.0 {
            rate * (1.0 - rate) * all * all / spread
        } else {
            all * all / self.squares as f64
        };
        let told = whole(told, trials);
        Share::new(whole(rate * told as f64, told), told)
    }
}

/// Each trial stands for itself.
impl From<Share> for Weighed {
    fn from(share: Share) -> Self {
        Self { share, hit_squares: share.hits, squares: share.trials }
    }
}
