//! How a task signs in to RDS and Aurora without a password: a token that is made for each connection.
//!
//! The token is a signed request that is never sent; the server checks the signature. It is good for a
//! quarter of an hour, which bounds how long one may take to connect, not how long a connection lives.

use std::sync::Arc;

use super::{
    credentials::{Credentials, KeysError},
    signature::{Moment, Presigned},
};
use crate::config::{Aws, Keys, Secret};

/// Who signs in where.
#[derive(Debug, Clone)]
pub struct SignIn {
    credentials: Credentials,
    region: String,
    /// With its port, as it stands in the signature.
    host: String,
    user: String,
}

/// The region is not known.
#[derive(Debug, thiserror::Error)]
#[error(
    "the region of the database is unknown: set AWS_REGION, or use its name under rds.amazonaws.com"
)]
pub struct NoRegion;

impl SignIn {
    /// For this user of the database at this place.
    ///
    /// # Errors
    /// Neither the host's name nor the environment tells the region.
    pub fn new(aws: &Arc<Aws>, host: &str, port: u16, user: &str) -> Result<Self, NoRegion> {
        let region = region_in(host).or(aws.region.as_deref()).ok_or(NoRegion)?;
        Ok(Self {
            credentials: Credentials::new(Arc::clone(aws)),
            region: region.to_owned(),
            host: format!("{host}:{port}"),
            user: user.to_owned(),
        })
    }

    /// A token, made now.
    ///
    /// # Errors
    /// There are no keys to sign with.
    pub async fn token(&self, wall_us: i64) -> Result<Secret, KeysError> {
        let keys = self.credentials.keys().await?;
        Ok(Secret::new(self.signed(&keys, wall_us)))
    }

    fn signed(&self, keys: &Keys, wall_us: i64) -> String {
        let request = Presigned {
            host: &self.host,
            region: &self.region,
            service: "rds-db",
            parameters: &[("Action", "connect"), ("DBUser", &self.user)],
            valid_s: VALID_S,
        };
        request.sign(keys, &Moment::at(wall_us))
    }
}

/// The region in a name such as `orders.c9akciq32.eu-central-1.rds.amazonaws.com`.
fn region_in(host: &str) -> Option<&str> {
    let (before, _) = host.split_once(".rds.amazonaws.com")?;
    before.rsplit('.').next()
}

/// As long as RDS lets it be.
const VALID_S: u32 = 900;

#[cfg(test)]
mod tests {
    use super::{Aws, Keys, Secret, SignIn};
    use std::sync::Arc;

    /// 2016-11-07T17:39:33Z.
    const THEN_US: i64 = 1_478_540_373_000_000;

    fn signed(session: Option<&str>) -> String {
        let aws = Arc::new(Aws::default());
        let host = "prod-instance.us-east-1.rds.amazonaws.com";
        let sign_in = SignIn::new(&aws, host, 3306, "someusername").unwrap();
        let keys = Keys {
            id: "akid".to_owned(),
            secret: Secret::new("skid"),
            session: session.map(Secret::new),
        };
        sign_in.signed(&keys, THEN_US)
    }

    // Made by botocore 1.44.5 for the same keys and moment.
    #[test]
    fn a_token_is_what_aws_own_client_makes() {
        let token = signed(None);
        let place = "prod-instance.us-east-1.rds.amazonaws.com:3306/?Action=connect\
                     &DBUser=someusername&X-Amz-Algorithm=AWS4-HMAC-SHA256\
                     &X-Amz-Credential=akid%2F20161107%2Fus-east-1%2Frds-db%2Faws4_request\
                     &X-Amz-Date=20161107T173933Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host\
                     &X-Amz-Signature=d1138cdbc0ca63eec012ec0fc6c2267e03642168f5884a7795320d4c18374c61";
        assert_eq!(token, place);
        let lent = signed(Some("a/token+with=signs"));
        assert!(lent.contains("&X-Amz-Security-Token=a%2Ftoken%2Bwith%3Dsigns&"), "{lent}");
        assert!(
            lent.ends_with(
                "&X-Amz-Signature=5f286f4fe7f7468ca6b757615fa69ac1674a456037b08502fe115375b01b27dd"
            ),
            "{lent}"
        );
    }

    #[test]
    fn the_region_is_that_of_the_name_else_of_the_environment() {
        let aws = Aws { region: Some("eu-west-1".to_owned()), ..Aws::default() };
        let here =
            |aws: Aws, host| SignIn::new(&Arc::new(aws), host, 5432, "u").map(|it| it.region);
        let named = "db.cluster-abc.eu-central-1.rds.amazonaws.com";
        assert_eq!(here(aws.clone(), named).unwrap(), "eu-central-1");
        assert_eq!(here(aws, "db.internal").unwrap(), "eu-west-1");
        assert!(here(Aws::default(), "db.internal").is_err());
    }
}
