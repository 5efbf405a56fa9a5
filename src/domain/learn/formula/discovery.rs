//! The false-discovery rate: how many of the findings among many tests are false.

/// The adjusted p-value (q-value) of each test, in the order given: the share of false findings
/// that one accepts with it.
///
/// Source: Y. Benjamini & Y. Hochberg, *Controlling the false discovery rate*, Journal of the Royal
/// Statistical Society B 57 (1995).
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    let count = p_values.len() as f64;
    let mut falling: Vec<usize> = (0..p_values.len()).collect();
    falling.sort_by(|&a, &b| p_values[b].total_cmp(&p_values[a]));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut least = 1.0_f64;
    for (place, &test) in falling.iter().enumerate() {
        let rank = count - place as f64;
        least = least.min(p_values[test] * count / rank);
        adjusted[test] = least;
    }
    adjusted
}
