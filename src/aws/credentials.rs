//! Keys to sign with: those in the environment, else what the platform lends to this task.
//!
//! Lent keys are asked for each time: the endpoint is on the same machine, it renews them itself, and
//! connections to a database are rare.

use std::{net::IpAddr, sync::Arc};

use http::Uri;

use super::ask::{AskError, ask};
use crate::config::{Aws, KeySource, Keys, Secret};

/// Where keys come from.
#[derive(Debug, Clone)]
pub struct Credentials(Arc<Aws>);

/// Why there are none.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// Nobody gives any.
    #[error(
        "no keys of AWS: the task has no role (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI), and \
         AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set"
    )]
    None,
    /// They would be asked for over a network that others may listen to.
    #[error("AWS_CONTAINER_CREDENTIALS_FULL_URI must be http:// at an address of this machine")]
    Elsewhere,
    /// The file with what is shown to the endpoint cannot be read.
    #[error("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE cannot be read")]
    Authorization(#[source] std::io::Error),
    /// The endpoint does not lend any.
    #[error("the container credentials endpoint does not lend keys")]
    Asked(#[from] AskError),
    /// It answers without them.
    #[error("the container credentials endpoint answers without {0}")]
    Missing(&'static str),
}

impl Credentials {
    /// From what the environment says.
    pub const fn new(aws: Arc<Aws>) -> Self {
        Self(aws)
    }

    /// The keys of now.
    ///
    /// # Errors
    /// There are none.
    pub async fn keys(&self) -> Result<Keys, KeysError> {
        if let Some(keys) = &self.0.keys {
            return Ok(keys.clone());
        }
        let source = self.0.key_source.as_ref().ok_or(KeysError::None)?;
        if !is_here(&source.url) {
            return Err(KeysError::Elsewhere);
        }
        let shown = shown(source).await?;
        let lent = ask(&source.url, shown.as_ref()).await?;
        let text = |key: &'static str| {
            let found = lent[key].as_str().filter(|text| !text.is_empty());
            found.ok_or(KeysError::Missing(key))
        };
        Ok(Keys {
            id: text("AccessKeyId")?.to_owned(),
            secret: Secret::new(text("SecretAccessKey")?),
            session: Some(Secret::new(text("Token")?)),
        })
    }
}

async fn shown(source: &KeySource) -> Result<Option<Secret>, KeysError> {
    let Some(file) = &source.authorization_file else { return Ok(source.authorization.clone()) };
    let text = tokio::fs::read_to_string(file).await.map_err(KeysError::Authorization)?;
    Ok(Some(Secret::new(text.trim())))
}

/// Whether an address is this machine's: loopback, or one of those at which platforms lend keys.
fn is_here(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let at = host.parse::<IpAddr>();
    host == "localhost" || at.is_ok_and(|at| at.is_loopback() || LENDERS.contains(&&*host))
}

/// ECS, and EKS over both protocols.
const LENDERS: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];

#[cfg(test)]
mod tests {
    use super::is_here;

    #[test]
    fn keys_are_never_asked_for_over_a_network() {
        for (url, expected) in [
            ("http://169.254.170.2/v2/credentials/1", true),
            ("http://127.0.0.1:81/keys", true),
            ("http://[::1]/keys", true),
            ("http://localhost/keys", true),
            ("http://[fd00:ec2::23]/v1/credentials", true),
            ("http://169.254.169.254/latest", false),
            ("http://10.0.0.1/keys", false),
            ("http://keys.example/", false),
            ("keys", false),
        ] {
            assert_eq!(is_here(url), expected, "{url}");
        }
    }
}
