//! TLS to PostgreSQL, against a server that a test can present as it likes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot be set up has failed; the panic says why"
)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use diesel::dsl::sql;
use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;
use domicile_kernel::Secret;
use domicile_store::{Conn, Db, DbSettings, StoreError, listen, migrate};
use domicile_testkit::db::TestDb;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{interval, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use url::Url;

/// PostgreSQL: "Message Formats", `SSLRequest`.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);
const PASSWORD: &str = "a-password-that-nobody-may-see";

/// A certificate authority, and its certificate in a file.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    fn new() -> Self {
        Self::named("Authority of the region")
    }

    fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A server that has a certificate of this authority for this host.
    fn server(&self, host: &str) -> Answer {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.into()], key.into())
            .unwrap();
        Answer::Tls(TlsAcceptor::from(Arc::new(config)))
    }
}

/// What a server does with an `SSLRequest`.
#[derive(Clone)]
enum Answer {
    /// `S`, TLS, and then the bytes go to the real server.
    Tls(TlsAcceptor),
    /// These bytes, and then it reads to the end.
    Clear(&'static [u8]),
}

/// What a server saw of one connection.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// TLS was made, so all that followed was encrypted.
    Encrypted,
    /// The client broke the handshake off.
    HandshakeBroken,
    /// The first bytes were no `SSLRequest`.
    NoRequest([u8; 8]),
    /// What the client sent after the answer until it closed the connection.
    InClear(Vec<u8>),
}

/// A PostgreSQL server as the client meets it.
struct Front {
    address: SocketAddr,
    seen: UnboundedReceiver<Seen>,
    task: AbortHandle,
}

impl Front {
    async fn start(answer: Answer, behind: &TestDb) -> Self {
        let behind = Url::parse(behind.url().expose()).unwrap();
        let behind = behind.socket_addrs(|| Some(5432)).unwrap()[0];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (report, seen) = unbounded_channel();
        let accepting = async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(meet(stream, answer.clone(), behind, report.clone()));
            }
        };
        let task = tokio::spawn(accepting).abort_handle();
        Self { address, seen, task }
    }

    /// The database's URL by way of this server under the name `localhost`, trusting this authority.
    fn url(&self, db: &TestDb, trusted: Option<&Authority>) -> Url {
        let mut url = Url::parse(db.url().expose()).unwrap();
        url.set_host(Some("localhost")).unwrap();
        url.set_port(Some(self.address.port())).unwrap();
        // `localhost` may also be [::1], where nobody listens. The certificate is held against the name all the same.
        url.set_query(Some("hostaddr=127.0.0.1&sslmode=verify-full"));
        if let Some(authority) = trusted {
            let file = authority.file();
            url.query_pairs_mut()
                .append_pair("sslrootcert", file.to_str().unwrap());
        }
        url
    }

    fn settings(&self, db: &TestDb, trusted: &Authority) -> DbSettings {
        parse(&self.url(db, Some(trusted)))
    }

    /// Connects with a password that can be looked for, and gives the whole text of the refusal.
    async fn refusal(&self, db: &TestDb, trusted: Option<&Authority>) -> String {
        let mut url = self.url(db, trusted);
        url.set_password(Some(PASSWORD)).unwrap();
        let settings = parse(&url);
        let Err(pool) = Db::new(settings.clone()).unwrap().conn().await else {
            panic!("it connected")
        };
        let migration = migrate(&settings).await.unwrap_err();
        let text = format!("{} {pool:?} {} {migration:?}", chain(&pool), chain(&migration));
        assert!(!text.contains(PASSWORD), "{text}");
        assert!(pool.fate().is_retry(), "{text}");
        text
    }

    async fn saw(&mut self) -> Seen {
        timeout(PATIENCE, self.seen.recv()).await.unwrap().unwrap()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn meet(mut stream: TcpStream, answer: Answer, behind: SocketAddr, seen: UnboundedSender<Seen>) {
    let mut request = [0; 8];
    stream.read_exact(&mut request).await.unwrap();
    if request != SSL_REQUEST {
        return seen.send(Seen::NoRequest(request)).unwrap();
    }
    match answer {
        Answer::Clear(bytes) => {
            stream.write_all(bytes).await.unwrap();
            let mut sent = Vec::new();
            // A reset is an end like any other.
            let _ = stream.read_to_end(&mut sent).await;
            seen.send(Seen::InClear(sent)).unwrap();
        }
        Answer::Tls(acceptor) => {
            stream.write_all(b"S").await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return seen.send(Seen::HandshakeBroken).unwrap();
            };
            seen.send(Seen::Encrypted).unwrap();
            let mut server = TcpStream::connect(behind).await.unwrap();
            // It ends when either side hangs up, as the tests do.
            let _ = copy_bidirectional(&mut stream, &mut server).await;
        }
    }
}

fn parse(url: &Url) -> DbSettings {
    DbSettings::parse(&Secret::new(url.to_string())).unwrap()
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn a_server_with_a_certificate_of_the_named_authority_is_used_for_everything() {
    let (db, authority) = (TestDb::create().await, Authority::new());
    let mut front = Front::start(authority.server("localhost"), &db).await;
    let settings = front.settings(&db, &authority);
    let pool = Db::new(settings.clone()).unwrap();
    let name = pool
        .run_tx(
            "which_database",
            async |conn: &mut Conn| -> Result<String, StoreError> {
                Ok(diesel::select(sql::<Text>("current_database()::text"))
                    .get_result(conn)
                    .await?)
            },
        )
        .await
        .unwrap();
    assert_eq!(name, db.name());
    assert_eq!(front.saw().await, Seen::Encrypted);
    assert!(migrate(&settings).await.unwrap().is_empty());
    assert_eq!(front.saw().await, Seen::Encrypted);
}

#[tokio::test]
async fn notifications_come_over_tls_too() {
    let (db, authority) = (TestDb::create().await, Authority::new());
    let mut front = Front::start(authority.server("localhost"), &db).await;
    let settings = front.settings(&db, &authority);
    let (stop, (notified, mut notifications)) = (CancellationToken::new(), unbounded_channel());
    let stopped = stop.clone();
    let listening = tokio::spawn(async move {
        let on_notify = |payload: &str| notified.send(payload.to_owned()).unwrap();
        listen(&settings, "tls_test", stopped, on_notify).await;
    });
    let client = db.client().await;
    let heard = async {
        // Nobody says when LISTEN has taken effect, so it is told until it hears.
        let mut again = interval(Duration::from_millis(50));
        loop {
            tokio::select! {
                payload = notifications.recv() => return payload.unwrap(),
                _ = again.tick() => client.batch_execute("NOTIFY tls_test, 'over TLS'").await.unwrap(),
            }
        }
    };
    assert_eq!(timeout(PATIENCE, heard).await.unwrap(), "over TLS");
    assert_eq!(front.saw().await, Seen::Encrypted);
    stop.cancel();
    timeout(PATIENCE, listening).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let (db, authority) = (TestDb::create().await, Authority::new());
    // The second only calls itself by the name of the first.
    for (another, reason) in [
        (Authority::named("Another"), "UnknownIssuer"),
        (Authority::new(), "BadSignature"),
    ] {
        let mut front = Front::start(another.server("localhost"), &db).await;
        let refusal = front.refusal(&db, Some(&authority)).await;
        assert!(refusal.contains(reason), "{refusal}");
        for _ in ["the pool", "the migrations"] {
            assert_eq!(front.saw().await, Seen::HandshakeBroken);
        }
    }
}

#[tokio::test]
async fn without_an_authority_of_its_own_only_those_of_the_system_count() {
    let (db, authority) = (TestDb::create().await, Authority::new());
    let mut front = Front::start(authority.server("localhost"), &db).await;
    front.refusal(&db, None).await;
    front.task.abort();
    while let Some(seen) = front.seen.recv().await {
        assert_eq!(seen, Seen::HandshakeBroken);
    }
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let (db, authority) = (TestDb::create().await, Authority::new());
    // The last is the address that is connected to: it is not what the settings name.
    for host in ["db.example", "localhost.example", "127.0.0.1"] {
        let mut front = Front::start(authority.server(host), &db).await;
        let refusal = front.refusal(&db, Some(&authority)).await;
        assert!(
            refusal.contains("not valid for name \"localhost\""),
            "{host}: {refusal}"
        );
        for _ in ["the pool", "the migrations"] {
            assert_eq!(front.saw().await, Seen::HandshakeBroken, "{host}");
        }
    }
}

#[tokio::test]
async fn a_server_without_tls_is_refused_and_told_nothing() {
    let (db, authority) = (TestDb::create().await, Authority::new());
    // No; an error, as servers before TLS sent; and nothing known.
    for answer in [&b"N"[..], b"E", b"?"] {
        let mut front = Front::start(Answer::Clear(answer), &db).await;
        let refusal = front.refusal(&db, Some(&authority)).await;
        assert!(refusal.contains("server does not support TLS"), "{refusal}");
        for _ in ["the pool", "the migrations"] {
            assert_eq!(front.saw().await, Seen::InClear(Vec::new()));
        }
    }
}

/// Whoever is in the middle may send bytes after the `S` and hope that they count as the server's (CVE-2021-23222).
#[tokio::test]
async fn what_was_put_in_before_tls_does_not_count() {
    let (db, authority) = (TestDb::create().await, Authority::new());
    // AuthenticationCleartextPassword.
    let asks_for_password = b"SR\0\0\0\x08\0\0\0\x03";
    let mut front = Front::start(Answer::Clear(asks_for_password), &db).await;
    front.refusal(&db, Some(&authority)).await;
    for _ in ["the pool", "the migrations"] {
        let Seen::InClear(sent) = front.saw().await else {
            panic!("there was no TLS")
        };
        // A TLS record with the ClientHello (RFC 8446 section 5.1), and nothing of PostgreSQL's.
        assert_eq!(sent[0], 22);
        for text in [PASSWORD, db.name(), "application_name"] {
            let found = sent.windows(text.len()).any(|part| part == text.as_bytes());
            assert!(!found, "{text} was sent in clear");
        }
    }
}

#[tokio::test]
async fn a_file_without_authorities_is_no_reason_to_trust_anybody() {
    let (db, authority) = (TestDb::create().await, Authority::new());
    let front = Front::start(authority.server("localhost"), &db).await;
    for content in [
        Some(""),
        Some("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n"),
        None,
    ] {
        match content {
            Some(content) => std::fs::write(authority.file(), content).unwrap(),
            None => std::fs::remove_file(authority.file()).unwrap(),
        }
        front.refusal(&db, Some(&authority)).await;
    }
}
