//! A certificate authority, and servers that present its certificates.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{Datelike, TimeDelta};
use domicile::outside::SystemClock;
use domicile_kernel::Clock;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use url::Url;

/// An authority whose certificate lies in a file.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    /// What `SSL_CERT_FILE` names.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A server before this one, with a certificate for this host that was valid from one day to another, counted from
    /// today.
    pub async fn before(&self, behind: &Url, host: &str, days: (i64, i64)) -> TlsServer {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let day = |days: i64| {
            let day = SystemClock.now() + TimeDelta::days(days);
            date_time_ymd(
                day.year(),
                day.month().try_into().unwrap(),
                day.day().try_into().unwrap(),
            )
        };
        (params.not_before, params.not_after) = (day(days.0), day(days.1));
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.into()], key.into())
            .unwrap();
        TlsServer::start(TlsAcceptor::from(Arc::new(config)), behind).await
    }
}

/// Speaks TLS and hands the bytes on.
pub struct TlsServer {
    port: u16,
    task: AbortHandle,
}

impl TlsServer {
    async fn start(acceptor: TlsAcceptor, behind: &Url) -> Self {
        let behind = behind.socket_addrs(|| None).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepting = async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, behind) = (acceptor.clone(), behind.clone());
                connections.spawn(async move {
                    // A client that does not like the certificate goes away.
                    let Ok(mut client) = acceptor.accept(stream).await else {
                        return;
                    };
                    if let Ok(mut server) = TcpStream::connect(&behind[..]).await {
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        };
        Self {
            port,
            task: tokio::spawn(accepting).abort_handle(),
        }
    }

    /// Its URL by the loopback address, for which the certificate may be or not.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
