//! `domicile doctor` against set-ups that are broken in one way each: it names the fault and its cure, and still looks at
//! the rest.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::TimeDelta;
use domicile::doctor::{Severity, examine};
use domicile::outside;
use domicile::settings::Environment;
use domicile_kernel::{Clock, Ids};
use domicile_testkit::clock::TestClock;
use domicile_testkit::db::TestDb;
use serde_json::Value;
use tempfile::TempDir;
use url::Url;

use crate::harness::process::run;
use crate::harness::tls::Authority;
use crate::harness::world::{
    ALICE, CLIENT_SECRET, EVENTS_SECRET, OLD_WEBHOOK_SECRET, VAULT_KEY, WEBHOOK_SECRET, World,
};

/// Everything that is looked at, so that nothing can be left out silently.
const LOOKED_AT: &[&str] = &[
    "settings",
    "database.reach",
    "database.schema",
    "database.mark",
    "database.clock",
    "keys.mark",
    "keys.fit",
    "storage.mark",
    "storage.write",
    "zoom.reach",
    "zoom.api",
    "zoom.clock",
    "zoom.credentials",
    "zoom.hosts",
    "bot.credentials",
    "public.reach",
    "public.tls",
    "public.events",
    "public.bot",
    "app.return_urls",
    "app.events",
    "app.jwks",
    "egress.allowed",
    "egress.collector",
];

/// What the real binary found in an environment.
struct Findings {
    code: Option<i32>,
    list: Vec<Value>,
}

impl Findings {
    fn of(environment: &BTreeMap<String, String>) -> Self {
        let output = run(environment, &["doctor", "--format", "json"]);
        let text = String::from_utf8(output.stdout).unwrap();
        let report: Value = serde_json::from_str(&text)
            .unwrap_or_else(|_| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)));
        for secret in [
            CLIENT_SECRET,
            WEBHOOK_SECRET,
            OLD_WEBHOOK_SECRET,
            EVENTS_SECRET,
            VAULT_KEY,
            "hunter2",
        ] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        let findings = Self {
            code: output.status.code(),
            list: report["findings"].as_array().unwrap().clone(),
        };
        for id in LOOKED_AT {
            assert!(findings.of_id(id).next().is_some(), "{id} was left out: {text}");
        }
        findings
    }

    fn of_id(&self, id: &str) -> impl Iterator<Item = &Value> {
        self.list.iter().filter(move |finding| finding["id"] == id)
    }

    /// The ids of all faults.
    fn faults(&self) -> Vec<&str> {
        let faults = self.list.iter().filter(|finding| finding["severity"] == "fault");
        faults.map(|finding| finding["id"].as_str().unwrap()).collect()
    }

    /// This is at fault, and both parts of the finding say so.
    fn fault(&self, id: &str, found: &str, remedy: &str) {
        self.is("fault", id, found, remedy);
        assert_eq!(self.code, Some(1));
    }

    fn is(&self, severity: &str, id: &str, found: &str, remedy: &str) {
        let told = self.of_id(id).any(|finding| {
            finding["severity"] == severity
                && finding["found"].as_str().unwrap().contains(found)
                && finding["remedy"].as_str().unwrap_or_default().contains(remedy)
        });
        assert!(
            told,
            "{severity} {id} {found:?} {remedy:?} is not in {:#?}",
            self.list
        );
    }

    fn skipped(&self, id: &str, why: &str) {
        self.is("skipped", id, why, "");
    }
}

/// The region's environment with some settings changed; an empty value takes one away.
fn with(world: &World, changes: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut environment = world.environment.clone();
    for (name, value) in changes {
        if value.is_empty() {
            environment.remove(*name);
        } else {
            environment.insert((*name).to_owned(), (*value).to_owned());
        }
    }
    environment
}

fn broken(world: &World, changes: &[(&str, &str)]) -> Findings {
    Findings::of(&with(world, changes))
}

/// A port on which nobody listens.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("127.0.0.1:{}", listener.local_addr().unwrap().port())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_region_has_no_fault_and_nothing_is_left_behind() {
    let world = World::start().await;
    let findings = Findings::of(&world.environment);
    assert_eq!(findings.faults(), [""; 0], "{:#?}", findings.list);
    assert_eq!(findings.code, Some(0));
    for id in [
        "settings",
        "database.schema",
        "keys.fit",
        "storage.write",
        "zoom.credentials",
        "public.events",
        "app.events",
    ] {
        findings.is("ok", id, "", "");
    }
    findings.skipped("public.tls", "plain http on a loopback host");
    findings.skipped("public.bot", "DOMICILE_BOT_ROBOT_JID is not set: the bot is off");
    findings.skipped("egress.collector", "OTEL_EXPORTER_OTLP_ENDPOINT is not set");
    let names: Vec<_> = std::fs::read_dir(world.storage.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names, ["domicile-region"]);

    // Our own challenge is no sign of life of Zoom's.
    let sql = "SELECT last_at FROM zoom_sightings WHERE kind = 'challenge'";
    let before = world.db.client().await.query(sql, &[]).await.unwrap().len();
    assert!(before <= 1, "only the challenge of the registration");

    // For people: one line each, and the count.
    let text = run(&world.environment, &["doctor"]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("ok       database.schema"), "{text}");
    assert!(text.contains("Region eu. Faults: 0, "), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_s_faults_are_named() {
    let world = World::start().await;
    let url = world.db.url().expose().clone();
    let parsed = Url::parse(&url).unwrap();

    let mut wrong = parsed.clone();
    wrong.set_password(Some("hunter2")).unwrap();
    let findings = broken(&world, &[("DOMICILE_DATABASE_URL", wrong.as_str())]);
    findings.fault(
        "database.reach",
        "password authentication failed",
        "user or password in DOMICILE_DATABASE_URL",
    );
    findings.skipped("database.schema", "cannot be reached");
    findings.skipped("keys.fit", "cannot be reached");
    findings.is("ok", "zoom.credentials", "", "");

    let mut wrong = parsed.clone();
    wrong.set_path("/no_such_database");
    let findings = broken(&world, &[("DOMICILE_DATABASE_URL", wrong.as_str())]);
    findings.fault("database.reach", "does not exist", "no such database");

    let mut wrong = parsed.clone();
    wrong
        .set_port(nobody().rsplit(':').next().unwrap().parse().ok())
        .unwrap();
    let findings = broken(&world, &[("DOMICILE_DATABASE_URL", wrong.as_str())]);
    findings.fault("database.reach", "", "start the database");

    let client = world.db.client().await;
    let newest = "SELECT max(version) FROM __diesel_schema_migrations";
    let newest: String = client.query_one(newest, &[]).await.unwrap().get(0);
    let delete = "DELETE FROM __diesel_schema_migrations WHERE version = $1";
    client.execute(delete, &[&newest]).await.unwrap();
    let findings = Findings::of(&world.environment);
    findings.fault("database.schema", &newest, "domicile migrate");
    findings.skipped("database.mark", "schema");
    let insert = "INSERT INTO __diesel_schema_migrations (version) VALUES ($1)";
    client.execute(insert, &[&newest]).await.unwrap();

    client.execute(insert, &[&"99990101000001"]).await.unwrap();
    let findings = Findings::of(&world.environment);
    findings.is(
        "warning",
        "database.schema",
        "99990101000001",
        "nothing has to be undone",
    );
    assert_eq!(findings.code, Some(0), "a warning is no fault");
    let raise = "UPDATE schema_floor SET version = '99990101000001'";
    client.execute(raise, &[]).await.unwrap();
    let findings = Findings::of(&world.environment);
    findings.fault("database.schema", "99990101000001", "too old for this database");

    drop(client);
    world.db.go_away().await;
    let findings = Findings::of(&world.environment);
    findings.fault(
        "database.reach",
        "not currently accepting connections",
        "being restored",
    );
    world.db.come_back().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_region_s_resources_and_wrong_keys_are_named() {
    let world = World::start().await;
    let user = world.zoom_user();
    world.link(ALICE, &user).await;

    let findings = broken(&world, &[("DOMICILE_REGION_ID", "us")]);
    for (id, setting) in [
        ("database.mark", "DOMICILE_DATABASE_URL"),
        ("keys.mark", "DOMICILE_VAULT_KEYS"),
        ("storage.mark", "DOMICILE_OBJECTS_URL"),
    ] {
        findings.fault(id, "the mark of the region eu", setting);
    }
    findings.skipped("storage.write", "whose storage");

    let other = "//////////////////////////////////////////8=";
    let findings = broken(&world, &[("DOMICILE_VAULT_KEYS", &format!("k2:{other}"))]);
    findings.fault("keys.fit", "k1", "put back into DOMICILE_VAULT_KEYS");
    let findings = broken(&world, &[("DOMICILE_VAULT_KEYS", &format!("k1:{other}"))]);
    findings.fault("keys.fit", "k1", "put back into DOMICILE_VAULT_KEYS");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_storage_s_faults_are_named() {
    let world = World::start().await;
    let absent = Url::from_file_path(world.storage.path().join("no/such/folder")).unwrap();
    let findings = broken(&world, &[("DOMICILE_OBJECTS_URL", absent.as_str())]);
    findings.fault(
        "storage.write",
        "cannot be used",
        "make the folder that DOMICILE_OBJECTS_URL names",
    );
    findings.is("ok", "database.mark", "", "");

    // Where a file stands in the way of its folder, nothing can be written, whoever tries.
    let blocked = TempDir::new().unwrap();
    std::fs::write(blocked.path().join("domicile-doctor"), "").unwrap();
    let url = Url::from_directory_path(blocked.path()).unwrap();
    let findings = broken(&world, &[("DOMICILE_OBJECTS_URL", url.as_str())]);
    findings.fault("storage.write", "storage failed to", "DOMICILE_OBJECTS_URL");

    let endpoint = format!("http://{}", nobody());
    let findings = broken(
        &world,
        &[
            ("DOMICILE_OBJECTS_URL", "s3://recordings"),
            ("AWS_ENDPOINT_URL", &endpoint),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "hunter1"),
            ("AWS_SECRET_ACCESS_KEY", "hunter2"),
        ],
    );
    findings.fault(
        "storage.mark",
        "",
        "start the storage, correct DOMICILE_OBJECTS_URL and AWS_ENDPOINT_URL",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn zoom_s_and_the_bot_s_faults_are_named() {
    let world = World::start().await;
    let findings = broken(&world, &[("DOMICILE_ZOOM_CLIENT_SECRET", "hunter2")]);
    findings.fault(
        "zoom.credentials",
        "refused the client id or secret",
        "DOMICILE_ZOOM_CLIENT_SECRET",
    );
    findings.is("ok", "zoom.reach", "", "");

    let away = format!("http://{}", nobody());
    let findings = broken(&world, &[("DOMICILE_ZOOM_OAUTH_URL", &away)]);
    findings.fault("zoom.reach", "no connection", "DOMICILE_ZOOM_OAUTH_URL");
    findings.fault("zoom.credentials", "no connection", "DOMICILE_ZOOM_OAUTH_URL");
    findings.skipped("zoom.clock", "does not answer");
    let findings = broken(&world, &[("DOMICILE_ZOOM_API_URL", &away)]);
    findings.fault("zoom.api", "no connection", "DOMICILE_ZOOM_API_URL");

    let findings = broken(&world, &[("DOMICILE_ZOOM_HOSTS", "zoom.us")]);
    findings.fault(
        "settings",
        "DOMICILE_ZOOM_API_URL",
        "set DOMICILE_ZOOM_API_URL right",
    );
    findings.is("ok", "database.reach", "", "");

    let bot = [
        ("DOMICILE_BOT_ROBOT_JID", "v1abc@xmpp.zoom.us"),
        ("DOMICILE_BOT_CLIENT_ID", "the-bot"),
        ("DOMICILE_BOT_CLIENT_SECRET", "hunter2"),
    ];
    let findings = broken(&world, &bot);
    findings.fault(
        "bot.credentials",
        "refused the client id or secret",
        "DOMICILE_BOT_CLIENT_SECRET",
    );
    // The process behind the public URL runs without the bot.
    findings.fault("public.bot", "404", "does not route /zoom/bot");
    findings.is("ok", "zoom.credentials", "", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_url_that_leads_elsewhere_is_named() {
    let world = World::start().await;
    let findings = broken(
        &world,
        &[("DOMICILE_HTTP_PUBLIC_URL", &format!("http://{}", nobody()))],
    );
    findings.fault("public.reach", "no connection", "DOMICILE_HTTP_PUBLIC_URL");
    findings.skipped("public.events", "does not answer");

    // Another region answers there: it has the host, but other secrets.
    let mut us = World::without_region().await;
    for (name, value) in [
        ("DOMICILE_REGION_ID", "us"),
        ("DOMICILE_ZOOM_WEBHOOK_SECRETS", "the-secret-of-us"),
    ] {
        us.environment.insert(name.to_owned(), value.to_owned());
    }
    us.start_region().await;
    let findings = broken(&world, &[("DOMICILE_HTTP_PUBLIC_URL", us.public_url.as_str())]);
    findings.fault(
        "public.events",
        "401",
        "another region's or an older deployment's",
    );

    let findings = broken(&world, &[("DOMICILE_ZOOM_WEBHOOK_SECRETS", "hunter2")]);
    findings.fault("public.events", "401", "DOMICILE_ZOOM_WEBHOOK_SECRETS");

    // The same process under another name.
    let port = world.public_url.port().unwrap();
    let findings = broken(
        &world,
        &[("DOMICILE_HTTP_PUBLIC_URL", &format!("http://localhost:{port}"))],
    );
    findings.fault(
        "public.reach",
        "421",
        "DNS or the ingress leads this host to another region's process",
    );
    findings.fault("public.events", "421", "compare them");

    // Something that is no region at all.
    let findings = broken(
        &world,
        &[("DOMICILE_HTTP_PUBLIC_URL", world.zoom.oauth_url().as_str())],
    );
    findings.fault("public.events", "40", "");

    let findings = broken(
        &world,
        &[("DOMICILE_HTTP_PUBLIC_URL", "http://zoom.eu.example.com")],
    );
    findings.fault(
        "settings",
        "must be called over https",
        "DOMICILE_HTTP_PUBLIC_URL",
    );
    findings.skipped("public.reach", "at fault");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_that_nobody_accepts_are_named() {
    let world = World::start().await;
    let authority = Authority::new("Authority of the region");
    let trusted = authority.file();
    let trusted = trusted.to_str().unwrap();
    let of = |url: &str, trusted: &str| {
        let changes = [("DOMICILE_HTTP_PUBLIC_URL", url), ("SSL_CERT_FILE", trusted)];
        broken(&world, &changes)
    };

    let expired = authority.before(&world.public_url, "127.0.0.1", (-90, -2)).await;
    let findings = of(&expired.url(), trusted);
    findings.fault("public.tls", "expired", "renew it");
    findings.skipped("public.events", "TLS fails");

    let other = authority
        .before(&world.public_url, "zoom.us.example.com", (-1, 90))
        .await;
    of(&other.url(), trusted).fault("public.tls", "certificate", "the certificate is for another host");

    let sound = authority.before(&world.public_url, "127.0.0.1", (-1, 90)).await;
    of(&sound.url(), trusted).is("ok", "public.tls", "89 days", "");
    for name in ["Another authority", "Authority of the region"] {
        let stranger = Authority::new(name);
        of(&sound.url(), stranger.file().to_str().unwrap()).fault(
            "public.tls",
            "certificate",
            "no public authority",
        );
    }

    let soon = authority.before(&world.public_url, "127.0.0.1", (-80, 10)).await;
    of(&soon.url(), trusted).is("warning", "public.tls", "ends in 9 days", "renew it now");
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_settings_are_all_named_and_the_rest_is_still_looked_at() {
    let world = World::start().await;
    let findings = broken(
        &world,
        &[
            ("DOMICILE_REGION_NAME", ""),
            ("DOMICILE_REGOIN_ID", "eu"),
            ("DOMICILE_APP_API_KEYS", "hunter2"),
        ],
    );
    findings.fault(
        "settings",
        "DOMICILE_REGION_NAME: is not set",
        "set DOMICILE_REGION_NAME right",
    );
    findings.fault("settings", "did you mean DOMICILE_REGION_ID", "");
    findings.fault("settings", "DOMICILE_APP_API_KEYS", "");
    findings.skipped("app.events", "at fault");
    for id in [
        "database.reach",
        "storage.write",
        "zoom.credentials",
        "public.events",
    ] {
        findings.is("ok", id, "", "");
    }

    // Nothing at all is set: everything is told, nothing is left out.
    let findings = Findings::of(&BTreeMap::new());
    findings.fault("settings", "DOMICILE_DATABASE_URL: is not set", "");
    findings.skipped("database.reach", "DOMICILE_DATABASE_URL");
    let usage = run(&world.environment, &["doctor", "--format", "xml"]);
    assert_eq!(usage.status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_app_s_and_the_neighbours_faults_are_named() {
    let world = World::start().await;
    let away = format!("http://{}", nobody());
    let own = world.public_url.join("/back").unwrap();
    let findings = broken(&world, &[("DOMICILE_APP_RETURN_URLS", own.as_str())]);
    findings.fault(
        "app.return_urls",
        "the region's own public host",
        "must be pages of the app",
    );
    let findings = broken(
        &world,
        &[("DOMICILE_APP_RETURN_URLS", "https://elsewhere.example/")],
    );
    findings.is(
        "warning",
        "app.return_urls",
        "elsewhere.example",
        "carries a ticket",
    );

    let findings = broken(&world, &[("DOMICILE_APP_EVENTS_URL", &away)]);
    findings.fault("app.events", "no connection", "DOMICILE_APP_EVENTS_URL");

    let session_jwt = [
        ("DOMICILE_APP_IDENTITY", "session-jwt"),
        ("DOMICILE_APP_JWT_ISSUER", "https://app.example"),
        ("DOMICILE_APP_JWT_AUDIENCE", "eu"),
        ("DOMICILE_APP_JWT_ALGORITHMS", "ES256"),
        ("DOMICILE_APP_JWT_COOKIE", "session"),
        ("DOMICILE_APP_JWT_JWKS_URL", world.app.start_url().as_str()),
    ]
    .map(|(name, value)| (name, value.to_owned()));
    let session_jwt: Vec<_> = session_jwt
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    broken(&world, &session_jwt).fault("app.jwks", "", "publish its JSON Web Key Set");

    let findings = broken(
        &world,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", away.as_str()),
            ("DOMICILE_EGRESS_ALLOW", "nowhere.invalid"),
        ],
    );
    findings.is(
        "warning",
        "egress.collector",
        "no connection",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
    );
    findings.fault("egress.allowed", "nowhere.invalid", "DOMICILE_EGRESS_ALLOW");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_goes_wrong_is_named() {
    let world = World::start().await;
    let environment: Environment = world.environment.clone().into_iter().collect();
    let now = outside::SystemClock.now();
    for (seconds, severity) in [(5, Severity::Warning), (-3600, Severity::Fault)] {
        let clock = TestClock::at(now + TimeDelta::seconds(seconds));
        let ids = Ids::new(clock.port(), Arc::new(outside::SystemRng::new()));
        let report = examine(&environment, ids).await;
        for id in ["database.clock", "zoom.clock"] {
            let finding = report.findings.iter().find(|finding| finding.id == id).unwrap();
            assert!(finding.severity >= severity, "{finding:?}");
            assert!(finding.remedy.as_ref().unwrap().contains("NTP"), "{finding:?}");
        }
    }
    // What a database without marks and keys says, before the first start.
    let empty = TestDb::create().await;
    let storage = TempDir::new().unwrap();
    let findings = broken(
        &world,
        &[
            ("DOMICILE_DATABASE_URL", empty.url().expose()),
            (
                "DOMICILE_OBJECTS_URL",
                Url::from_directory_path(storage.path()).unwrap().as_str(),
            ),
        ],
    );
    findings.is("ok", "database.mark", "no mark yet", "");
    findings.is("ok", "storage.mark", "no mark yet", "");
    assert_eq!(
        std::fs::read_dir(storage.path()).unwrap().count(),
        0,
        "none was left"
    );
}
