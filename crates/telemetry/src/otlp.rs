//! The way to the region's own collector.

use std::sync::Arc;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;
use url::Url;

/// Sends from the runtime, since the exporters' own threads have none, and without logs or spans of its own, since
/// these would have to be exported in turn. The exporters log failures.
#[derive(Debug)]
pub(crate) struct OnRuntime {
    pub(crate) runtime: Handle,
    pub(crate) client: Arc<dyn HttpClient>,
}

#[async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sending = async move { client.send_bytes(request).await };
        self.runtime
            .spawn(sending.with_subscriber(NoSubscriber::new()))
            .await?
    }
}

/// The URL of one signal below the endpoint ("OpenTelemetry Protocol Exporter" specification, "Endpoint URLs for
/// OTLP/HTTP").
pub(crate) fn signal(endpoint: &Url, path: &str) -> String {
    format!("{}/{path}", endpoint.as_str().trim_end_matches('/'))
}
