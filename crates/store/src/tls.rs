//! Connections to PostgreSQL, with TLS where the settings ask for it.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio_postgres::{Client, Connection, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::StoreError;
use crate::settings::{DbSettings, TlsMode};

type TlsConnection =
    Connection<Socket, <MakeRustlsConnect as tokio_postgres::tls::MakeTlsConnect<Socket>>::Stream>;

/// An open connection of either kind.
pub(crate) enum Connected {
    Plain(Client, Box<Connection<Socket, tokio_postgres::tls::NoTlsStream>>),
    Tls(Client, Box<TlsConnection>),
}

/// Opens one connection as the settings say.
pub(crate) async fn connect(settings: &DbSettings) -> Result<Connected, StoreError> {
    match &settings.tls {
        TlsMode::Disable => {
            let (client, connection) = settings.postgres.connect(NoTls).await.map_err(unavailable)?;
            Ok(Connected::Plain(client, Box::new(connection)))
        }
        TlsMode::VerifyFull { root_cert } => {
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let builder = rustls::ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(unavailable)?;
            let config = match root_cert {
                None => builder
                    .with_platform_verifier()
                    .map_err(unavailable)?
                    .with_no_client_auth(),
                Some(path) => {
                    let pem = tokio::fs::read(path).await.map_err(unavailable)?;
                    let mut roots = rustls::RootCertStore::empty();
                    for certificate in CertificateDer::pem_slice_iter(&pem) {
                        roots
                            .add(certificate.map_err(unavailable)?)
                            .map_err(unavailable)?;
                    }
                    builder.with_root_certificates(roots).with_no_client_auth()
                }
            };
            let (client, connection) = settings
                .postgres
                .connect(MakeRustlsConnect::new(config))
                .await
                .map_err(unavailable)?;
            Ok(Connected::Tls(client, Box::new(connection)))
        }
    }
}

pub(crate) fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Unavailable(Box::new(error))
}
