//! "Did you mean": the known word that is nearest to one that is not known.

/// The most candidates that are compared; a long list of upstreams need not be searched whole for
/// each slip in it.
const MAX_CANDIDATES: usize = 256;

/// The nearest of the candidates, unless none is near: about one slip in three letters.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    /// No key is longer; longer words would cost their square.
    const MAX_BYTES: usize = 64;
    if word.len() > MAX_BYTES {
        return None;
    }
    let word = word.to_lowercase();
    let allowed = (word.chars().count() / 3).max(1);
    let near = candidates
        .into_iter()
        .take(MAX_CANDIDATES)
        .filter(|candidate| candidate.len() <= MAX_BYTES);
    let distance = |candidate: &str| strsim::damerau_levenshtein(&word, &candidate.to_lowercase());
    near.map(|candidate| (distance(candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// The nearest of the candidates as the end of a sentence; empty when none is near.
pub(crate) fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> String {
    sentence(nearest(word, candidates))
}

/// A candidate as the end of a sentence; empty for none.
pub(super) fn sentence(near: Option<&str>) -> String {
    near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_are_found_and_other_words_are_not() {
        let keys = ["endpoints", "health_check", "timeouts", "pool", "breaker"];
        for (word, expected) in [
            ("endpoint", Some("endpoints")),
            ("helth-check", Some("health_check")),
            ("Breaker", Some("breaker")),
            ("braeker", Some("breaker")),
            ("color", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, keys), expected, "{word}");
        }
    }
}
