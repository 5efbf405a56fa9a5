//! What calls of language models say of themselves: model, tokens, why they ended.
//!
//! By the documented formats of the providers, of answers as a whole and of streams. In a stream the
//! last event that has a value counts: providers send totals so far, not differences.

use super::{
    fault::Fault,
    money::{Cost, Price},
    scalar::Scalar,
};

/// Whose format an answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Chat completions and responses of OpenAI, and of those that are compatible.
    OpenAi,
    /// Messages of Anthropic.
    Anthropic,
    /// `generateContent` and `streamGenerateContent` of Gemini.
    Gemini,
}

/// What a place in an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The model that answered.
    Model,
    /// Why it ended.
    Finish,
    /// Tokens of the prompt.
    Input,
    /// Further ones, which the former leaves out.
    MoreInput,
    /// Of the former, those that came from a cache.
    CachedOfInput,
    /// Those from a cache, which the former leaves out.
    CachedBesides,
    /// Those that were written to a cache, which the former leaves out.
    WrittenBesides,
    /// Tokens of the answer.
    Output,
    /// Further ones, which the former leaves out.
    MoreOutput,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::OpenAi, Self::Anthropic, Self::Gemini];

    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
        }
    }

    /// Where an answer says what; of several places with the same role the first that is there
    /// counts.
    pub const fn places(self) -> &'static [(Role, &'static str)] {
        match self {
            Self::OpenAi => &[
                (Role::Model, "/model"),
                (Role::Model, "/response/model"),
                (Role::Finish, "/choices/0/finish_reason"),
                (Role::Finish, "/response/status"),
                (Role::Finish, "/status"),
                (Role::Input, "/usage/prompt_tokens"),
                (Role::Input, "/usage/input_tokens"),
                (Role::Input, "/response/usage/input_tokens"),
                (Role::CachedOfInput, "/usage/prompt_tokens_details/cached_tokens"),
                (Role::CachedOfInput, "/usage/input_tokens_details/cached_tokens"),
                (Role::CachedOfInput, "/response/usage/input_tokens_details/cached_tokens"),
                (Role::Output, "/usage/completion_tokens"),
                (Role::Output, "/usage/output_tokens"),
                (Role::Output, "/response/usage/output_tokens"),
            ],
            Self::Anthropic => &[
                (Role::Model, "/model"),
                (Role::Model, "/message/model"),
                (Role::Finish, "/stop_reason"),
                (Role::Finish, "/delta/stop_reason"),
                (Role::Input, "/usage/input_tokens"),
                (Role::Input, "/message/usage/input_tokens"),
                (Role::CachedBesides, "/usage/cache_read_input_tokens"),
                (Role::CachedBesides, "/message/usage/cache_read_input_tokens"),
                (Role::WrittenBesides, "/usage/cache_creation_input_tokens"),
                (Role::WrittenBesides, "/message/usage/cache_creation_input_tokens"),
                (Role::Output, "/usage/output_tokens"),
                (Role::Output, "/message/usage/output_tokens"),
            ],
            Self::Gemini => &[
                (Role::Model, "/modelVersion"),
                (Role::Finish, "/candidates/0/finishReason"),
                (Role::Input, "/usageMetadata/promptTokenCount"),
                (Role::MoreInput, "/usageMetadata/toolUsePromptTokenCount"),
                (Role::CachedOfInput, "/usageMetadata/cachedContentTokenCount"),
                (Role::Output, "/usageMetadata/candidatesTokenCount"),
                (Role::MoreOutput, "/usageMetadata/thoughtsTokenCount"),
            ],
        }
    }
}

/// The prices of a model, per token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tariff {
    /// The model's name; with a star at its end, all names that begin so.
    pub model: Box<str>,
    /// Tokens of the prompt.
    pub input: Price,
    /// Of these, those from a cache.
    pub cached_input: Price,
    /// And those that were written to one.
    pub cache_write: Price,
    /// Tokens of the answer.
    pub output: Price,
}

impl Tariff {
    /// How much of a model's name it says; none when it is for another.
    fn fit(&self, model: &str) -> Option<usize> {
        match self.model.strip_suffix('*') {
            Some(beginning) => model.starts_with(beginning).then_some(beginning.len()),
            None => (*self.model == *model).then_some(usize::MAX),
        }
    }
}

/// The tariff of a model: by its name, else the longest beginning of it.
pub fn tariff<'t>(tariffs: &'t [Tariff], model: &str) -> Option<&'t Tariff> {
    let fitting = tariffs.iter().filter_map(|tariff| Some((tariff.fit(model)?, tariff)));
    fitting.max_by_key(|(fit, _)| *fit).map(|(_, tariff)| tariff)
}

/// The tokens of a call. Those of the prompt are all of them, from where ever they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Of the prompt.
    pub input: Option<u64>,
    /// Of these, from a cache.
    pub cached: u64,
    /// Of these, written to a cache.
    pub written: u64,
    /// Of the answer.
    pub output: Option<u64>,
}

impl Usage {
    /// Adds up what stands at the places of an answer.
    pub(super) fn of<'s, 'a: 's>(found: impl Fn(Role) -> Option<&'s Scalar<'a>>) -> Self {
        let tokens = |role| {
            let number = found(role).and_then(Scalar::whole);
            number.and_then(|number| u64::try_from(number).ok())
        };
        let sum =
            |parts: &[Option<u64>]| parts.iter().flatten().copied().fold(0, u64::saturating_add);
        let (besides, written) = (tokens(Role::CachedBesides), tokens(Role::WrittenBesides));
        let input = tokens(Role::Input);
        let (output, more_output) = (tokens(Role::Output), tokens(Role::MoreOutput));
        Self {
            input: input.map(|_| sum(&[input, tokens(Role::MoreInput), besides, written])),
            cached: sum(&[tokens(Role::CachedOfInput), besides]),
            written: sum(&[written]),
            output: output.or(more_output).map(|_| sum(&[output, more_output])),
        }
    }

    /// What they cost.
    ///
    /// # Errors
    /// It is not known how many they are.
    pub fn cost(&self, tariff: &Tariff) -> Result<Cost, Fault> {
        let (Some(input), Some(output)) = (self.input, self.output) else {
            return Err(Fault::CostMissing);
        };
        let plain = input.saturating_sub(self.cached).saturating_sub(self.written);
        let parts = [
            tariff.input.of(plain),
            tariff.cached_input.of(self.cached),
            tariff.cache_write.of(self.written),
            tariff.output.of(output),
        ];
        Ok(parts.into_iter().fold(Cost::default(), Cost::plus))
    }
}

#[cfg(test)]
mod tests {
    use super::{Preset, Tariff, Usage, tariff};
    use crate::domain::capture::{Pointer, Price, Scalar};

    #[test]
    fn the_tariff_that_says_most_of_a_name_counts() {
        let free = Price::default();
        let of = |model: &str| Tariff {
            model: model.into(),
            input: free,
            cached_input: free,
            cache_write: free,
            output: free,
        };
        let tariffs = ["*", "gpt-4o*", "gpt-4o-mini*", "gpt-4o"].map(of);
        for (model, expected) in [
            ("gpt-4o", Some("gpt-4o")),
            ("gpt-4o-2024-08-06", Some("gpt-4o*")),
            ("gpt-4o-mini-2024-07-18", Some("gpt-4o-mini*")),
            ("o3", Some("*")),
        ] {
            assert_eq!(tariff(&tariffs, model).map(|tariff| &*tariff.model), expected, "{model}");
        }
        assert!(tariff(&tariffs[1..], "o3").is_none(), "no price is guessed");
    }

    #[test]
    fn figures_beyond_all_measure_add_up_to_the_most_there_can_be() {
        let most = Scalar::Number("9223372036854775807");
        let usage = Usage::of(|_| Some(&most));
        assert_eq!((usage.input, usage.output), (Some(u64::MAX), Some(u64::MAX - 1)));
    }

    #[test]
    fn every_place_of_a_preset_is_a_pointer() {
        for (_, place) in Preset::ALL.into_iter().flat_map(Preset::places) {
            assert!(Pointer::parse(place).is_ok(), "{place}");
        }
    }
}
