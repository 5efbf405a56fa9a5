//! Means of numbers that have bounds, beside each other, however lopsided the numbers are.
//!
//! A mean of few lopsided numbers strays further to one side than Student's t says, and a group in
//! which all are alike by chance seems to be sure of its mean. So the numbers are taken for the
//! most lopsided ones that have the same mean, variance and bounds: those that are either at the
//! bound or at one other value. Of these a mean is a share, and shares have an exact test.

use super::{
    moments::{Moments, whole},
    share::{self, Share},
};

/// How likely groups of numbers from `low` to `high` look at least this different if they are
/// drawn from the same. 1 where nothing varies. Numbers that are only `low` or `high` are compared
/// as the shares that they are.
///
/// Source: the two values are those of W. Hoeffding, *Probability inequalities for sums of bounded
/// random variables*, Journal of the American Statistical Association 58 (1963), theorem 3: no
/// other numbers with a bound on one side and this variance make large means likelier by his
/// measure.
pub fn p_value(one: &Moments, rest: &Moments, (low, high): (f64, f64)) -> f64 {
    // It is the smaller group that strays.
    let (one, rest) = if one.count <= rest.count { (one, rest) } else { (rest, one) };
    let mut all = *one;
    all.merge(rest);
    let (Some(a), Some(b), Some(mean)) = (one.mean(), rest.mean(), all.mean()) else { return 1.0 };
    let variance = all.variance().unwrap_or_default();
    // Upwards the bound is the high one; downwards everything is mirrored.
    let (sign, bound) = if a > b { (1.0, high - mean) } else { (-1.0, mean - low) };
    if variance <= 0.0 || bound <= 0.0 {
        return 1.0;
    }
    let below = variance / bound;
    let share = |of: &Moments, own: f64| {
        let strayed = (sign * (own - mean) + below) / (bound + below);
        Share::new(whole(of.count as f64 * strayed, of.count), of.count)
    };
    share::p_value(share(one, a), share(rest, b))
}

#[cfg(test)]
mod tests {
    use super::{Moments, Share, p_value, share};

    const BOUNDS: (f64, f64) = (0.0, 100.0);

    fn moments(numbers: impl IntoIterator<Item = f64>) -> Moments {
        let mut moments = Moments::default();
        numbers.into_iter().for_each(|x| moments.record(x));
        moments
    }

    /// So many of `all` are 100, the others 0.
    fn all_or_nothing(hits: u64, all: u64) -> Moments {
        moments((0..all).map(|at| if at < hits { 100.0 } else { 0.0 }))
    }

    #[test]
    fn numbers_at_their_bounds_are_shares() {
        for (one, rest) in [((70, 70), (950, 1_000)), ((55, 70), (950, 1_000)), ((3, 40), (5, 400))]
        {
            let shares = share::p_value(Share::new(one.0, one.1), Share::new(rest.0, rest.1));
            let means =
                p_value(&all_or_nothing(one.0, one.1), &all_or_nothing(rest.0, rest.1), BOUNDS);
            // The variance of both together is taken with n − 1.
            assert!((means / shares - 1.0).abs() < 0.1, "{one:?} {rest:?}: {means} {shares}");
        }
    }

    #[test]
    fn a_group_that_is_alike_by_chance_is_not_sure_of_it() {
        let p = p_value(&all_or_nothing(70, 70), &all_or_nothing(950, 1_000), BOUNDS);
        assert!(p > 0.01, "{p}");
    }

    #[test]
    fn what_is_the_same_is_not_different() {
        let same = moments([40.0, 60.0].repeat(50));
        assert!(p_value(&same, &same, BOUNDS) > 0.8);
        let constant = moments([50.0; 40]);
        assert!((p_value(&constant, &constant, BOUNDS) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_difference_is_one_both_ways() {
        let (high, low) = (moments([80.0, 90.0].repeat(30)), moments([40.0, 60.0].repeat(300)));
        let (up, down) = (p_value(&high, &low, BOUNDS), p_value(&low, &high, BOUNDS));
        assert!(up < 1e-6 && down < 1e-6, "{up} {down}");
    }
}
