//! A provider of language models: whose key an upstream is asked with.

use http::{HeaderName, HeaderValue, header};

use crate::{
    config::{Credentials, keys, mapping::Mapping, setting::Setting, text::Token},
    domain::capture::Preset,
};

/// Reads them. None when there is no provider, or no key for it, which is noted.
pub(super) fn credentials(upstream: &Mapping<'_>) -> Option<Credentials> {
    let provider = upstream.optional(&keys::PROVIDER);
    let own = upstream.optional(&keys::API_KEY);
    let Some(provider) = provider else {
        if upstream.has(&keys::API_KEY) && !upstream.has(&keys::PROVIDER) {
            upstream.error(&keys::API_KEY, "belongs to a `provider`, which is missing");
        }
        return None;
    };
    let (variable, header) = of(provider);
    let from_variable = || {
        let read = Token::read(upstream.environment().get(variable).unwrap_or_default());
        read.unwrap_or_else(|fault| {
            upstream.error(&keys::PROVIDER, &format!("{variable}: {fault}"));
            Token(None)
        })
    };
    let is_given = upstream.has(&keys::API_KEY);
    let key = if is_given { own } else { Some(from_variable()) }?;
    let Some(key) = key.0 else {
        let message = format!("has no key: set {variable}, or `api_key`");
        upstream.error(&keys::PROVIDER, &message);
        return None;
    };
    let value = match provider {
        Preset::OpenAi => format!("Bearer {}", key.expose()),
        Preset::Anthropic | Preset::Gemini => key.expose().to_owned(),
    };
    let mut value = HeaderValue::try_from(value).ok()?;
    value.set_sensitive(true);
    Some(Credentials { provider, header, value })
}

/// The variable that a provider's key is in by custom, and the header that it takes it in.
const fn of(provider: Preset) -> (&'static str, HeaderName) {
    match provider {
        Preset::OpenAi => ("OPENAI_API_KEY", header::AUTHORIZATION),
        Preset::Anthropic => ("ANTHROPIC_API_KEY", HeaderName::from_static("x-api-key")),
        Preset::Gemini => ("GEMINI_API_KEY", HeaderName::from_static("x-goog-api-key")),
    }
}
