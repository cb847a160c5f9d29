//! Requests to other services of AWS, signed with the credentials of S3's settings.

use bytes::Bytes;
use domicile_egress::{Client, HostRule};
use http::{HeaderValue, Request};
use object_store::aws::{AmazonS3Builder, AwsAuthorizer, AwsCredentialProvider};
use object_store::client::HttpRequest;

use crate::error::{ObjectsError, SettingFault};
use crate::options::{Credentials, S3Options};
use crate::storage::retries;
use crate::transport::Fenced;

/// Signs by AWS's Signature Version 4. Cheap to clone; a web identity's credentials are fetched when they are first needed and
/// before they expire.
#[derive(Clone)]
pub struct AwsSigner {
    credentials: AwsCredentialProvider,
}

impl AwsSigner {
    /// A signer with the credentials of these settings; the client is the way to the token service. Nothing is called yet.
    pub fn open(options: &S3Options, client: Client) -> Result<Self, ObjectsError> {
        let credentials = Credentials::read(options).map_err(|faults| ObjectsError::Aws { faults })?;
        // `object_store` makes providers of credentials for a bucket only. This one is never called: what is signed is sent by
        // whoever asked for it.
        let builder = AmazonS3Builder::new()
            .with_bucket_name("none")
            .with_region("none")
            .with_http_connector(Fenced(client))
            .with_retry(retries());
        let store = credentials
            .put_into(builder)
            .build()
            .map_err(|error| ObjectsError::from_store("set up its credentials", "", error))?;
        Ok(Self {
            credentials: store.credentials().clone(),
        })
    }

    /// The hosts that are called for the credentials, for the fence: the token service's with a web identity, else none. They
    /// are named by the operator's settings, so the roof may mark them internal.
    pub fn egress_rules(options: &S3Options) -> Result<Vec<HostRule>, ObjectsError> {
        let faulty = |faults| ObjectsError::Aws { faults };
        Credentials::read(options)
            .map_err(faulty)?
            .hosts()
            .map_err(|invalid| {
                faulty(vec![SettingFault::new(
                    "AWS_ENDPOINT_URL_STS",
                    invalid.to_string(),
                )])
            })
    }

    /// The request with its signature for this service in this AWS region. The time in it is `object_store`'s own.
    pub async fn sign(
        &self,
        service: &str,
        region: &str,
        request: Request<Bytes>,
    ) -> Result<Request<Bytes>, ObjectsError> {
        let failed = |error| ObjectsError::from_store("sign a request", "", error);
        let credential = self.credentials.get_credential().await.map_err(failed)?;
        // `object_store` takes these for headers without looking.
        let parts = [Some(&credential.key_id), credential.token.as_ref()];
        if parts
            .into_iter()
            .flatten()
            .any(|part| HeaderValue::from_str(part).is_err())
        {
            return Err(ObjectsError::Credentials);
        }
        let (head, body) = request.into_parts();
        let mut request = HttpRequest::from_parts(head, body.clone().into());
        AwsAuthorizer::new(&credential, service, region)
            .try_authorize(&mut request, None)
            .map_err(failed)?;
        let (mut head, _) = request.into_parts();
        for name in ["authorization", "x-amz-security-token"] {
            if let Some(value) = head.headers.get_mut(name) {
                value.set_sensitive(true);
            }
        }
        Ok(Request::from_parts(head, body))
    }
}

#[cfg(test)]
mod tests {
    use domicile_egress::testing::{TIMEOUTS, loopback};

    use super::*;

    async fn signed(token: &str) -> Result<Request<Bytes>, ObjectsError> {
        let options = S3Options::from_vars([
            ("AWS_ACCESS_KEY_ID", "the-id"),
            ("AWS_SECRET_ACCESS_KEY", "the-secret"),
            ("AWS_SESSION_TOKEN", token),
        ]);
        let signer = AwsSigner::open(&options, loopback().client("aws_sts", TIMEOUTS))?;
        let request = Request::post("https://kms.eu-west-1.amazonaws.com/")
            .header("x-amz-target", "TrentService.Encrypt")
            .body(Bytes::from_static(b"{}"))
            .unwrap();
        signer.sign("kms", "eu-west-1", request).await
    }

    #[tokio::test]
    async fn a_request_is_signed_for_its_service_and_region_and_otherwise_as_it_was() {
        let request = signed("the-token").await.unwrap();
        let header = |name: &str| request.headers()[name].to_str().unwrap();
        let authorization = header("authorization");
        for part in [
            "AWS4-HMAC-SHA256 Credential=the-id/",
            "/eu-west-1/kms/aws4_request",
            "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token;x-amz-target,",
        ] {
            assert!(authorization.contains(part), "{part} in {authorization}");
        }
        assert_eq!(header("x-amz-security-token"), "the-token");
        assert_eq!(request.body(), &Bytes::from_static(b"{}"));
        let shown = format!("{request:?}");
        assert!(
            !shown.contains("the-id") && !shown.contains("the-token"),
            "{shown}"
        );
    }

    #[tokio::test]
    async fn a_token_that_no_header_can_carry_is_an_error_and_no_panic() {
        let error = signed("two\nlines").await.unwrap_err();
        assert!(matches!(error, ObjectsError::Credentials));
    }
}
