//! What the environment says of AWS: where this process runs, and with whose rights.
//!
//! Only what ECS and its like set themselves; nothing of it is in the file.

use super::{Environment, Secret};

/// Where to ask, and what is known without asking.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aws {
    /// The region.
    pub region: Option<String>,
    /// Where a container of ECS asks about its task: `ECS_CONTAINER_METADATA_URI_V4`.
    pub task_metadata: Option<String>,
    /// Keys in the environment.
    pub keys: Option<Keys>,
    /// Where a container asks for keys.
    pub key_source: Option<KeySource>,
}

/// Keys that requests are signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// The public half.
    pub id: String,
    /// The private half.
    pub secret: Secret,
    /// What goes with keys that are lent for a while.
    pub session: Option<Secret>,
}

/// Where keys are lent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySource {
    /// Its URL.
    pub url: String,
    /// What it asks to be shown.
    pub authorization: Option<Secret>,
    /// The file that holds that, when it changes.
    pub authorization_file: Option<String>,
}

/// Where ECS lends keys, before the path that it names.
const ECS: &str = "http://169.254.170.2";

impl Aws {
    /// What these variables say.
    pub fn of(environment: &Environment) -> Self {
        let get = |name: &str| environment.get(name).map(str::to_owned);
        let secret = |name: &str| get(name).map(Secret::new);
        let keys = get("AWS_ACCESS_KEY_ID").zip(secret("AWS_SECRET_ACCESS_KEY"));
        let relative = get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
        let url = relative.map(|path| format!("{ECS}{path}"));
        let url = url.or_else(|| get("AWS_CONTAINER_CREDENTIALS_FULL_URI"));
        Self {
            region: get("AWS_REGION").or_else(|| get("AWS_DEFAULT_REGION")),
            task_metadata: get("ECS_CONTAINER_METADATA_URI_V4"),
            keys: keys.map(|(id, secret_key)| Keys {
                id,
                secret: secret_key,
                session: secret("AWS_SESSION_TOKEN"),
            }),
            key_source: url.map(|url| KeySource {
                url,
                authorization: secret("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
                authorization_file: get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Aws, Environment};

    fn of(variables: &[(&str, &str)]) -> Aws {
        Aws::of(&Environment::new(variables.iter().copied(), "host"))
    }

    #[test]
    fn keys_count_only_as_a_pair_and_never_show() {
        assert_eq!(of(&[("AWS_ACCESS_KEY_ID", "AKID")]).keys, None);
        let aws = of(&[("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "hush")]);
        assert_eq!(aws.keys.as_ref().map(|keys| keys.secret.expose()), Some("hush"));
        assert!(!format!("{aws:?}").contains("hush"));
    }

    #[test]
    fn a_container_of_ecs_asks_the_address_of_ecs() {
        let aws = of(&[
            ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/1"),
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/other"),
        ]);
        let source = aws.key_source.expect("a source");
        assert_eq!(source.url, "http://169.254.170.2/v2/credentials/1");
    }
}
