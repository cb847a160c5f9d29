//! A region, its neighbours, and everything that is said.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domicile_testkit::app::ReceivedEvent;
use domicile_zoomsim::{ConsentOrder, Decision, NewFault, User};
use http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION, SET_COOKIE};
use http::{Method, Request};
use serde_json::json;
use tempfile::TempDir;
use url::Url;

use crate::harness::browser::{Answer, Browser, call};
use crate::harness::detector::Detector;
use crate::harness::eventually;
use crate::harness::process::Process;
use crate::harness::wire::{Collector, Tap};
use crate::harness::world::{
    API_KEY, CLIENT_SECRET, EVENTS_SECRET, OLD_WEBHOOK_SECRET, VAULT_KEY, WEBHOOK_SECRET, World, ticket_in,
};

/// No key of the App API.
pub(super) const WRONG_KEY: &str = "a-key-that-nobody-was-given";

/// What goes on, and all that is said meanwhile.
pub(super) struct Story {
    pub(super) world: World,
    pub(super) zoom: Tap,
    pub(super) collector: Collector,
    pub(super) process: Process,
    logs: TempDir,
    pub(super) detector: Detector,
    pub(super) said: Vec<Said>,
}

/// A text that the region gave to somebody.
pub(super) struct Said {
    pub(super) place: String,
    pub(super) text: String,
    /// The secrets that are meant for whoever gets it.
    pub(super) may_carry: Vec<&'static str>,
}

/// Which part of an answer is meant to carry which secret; a part is the name of a header field, or `body`.
pub(super) type Carries<'a> = &'a [(&'a str, &'static str)];

impl Story {
    pub(super) async fn begin(mut world: World) -> Self {
        world.release_ports();
        let (zoom, collector) = (
            Tap::before(world.zoom.oauth_url()).await,
            Collector::start().await,
        );
        let logs = TempDir::new().unwrap();
        let mut detector = Detector::default();
        // A server that asks for no password ignores one.
        let mut database = Url::parse(&world.environment["DOMICILE_DATABASE_URL"]).unwrap();
        if database.password().is_none() {
            database
                .set_password(Some("the-password-of-the-database"))
                .unwrap();
        }
        detector.add("database password", database.password().unwrap());
        for (name, value) in [
            ("DOMICILE_DATABASE_URL", database.as_str()),
            ("DOMICILE_ZOOM_OAUTH_URL", zoom.url().as_str()),
            ("DOMICILE_ZOOM_API_URL", zoom.url().as_str()),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url()),
            ("DOMICILE_BOT_ROBOT_JID", "v1robot@xmpp.zoom.us"),
            ("RUST_LOG", "trace"),
        ] {
            world.environment.insert(name.to_owned(), value.to_owned());
        }
        for (name, value) in [
            ("API key", API_KEY),
            ("wrong API key", WRONG_KEY),
            ("client secret", CLIENT_SECRET),
            ("webhook secret", WEBHOOK_SECRET),
            ("webhook secret", OLD_WEBHOOK_SECRET),
            ("events secret", EVENTS_SECRET.trim_start_matches("whsec_")),
            ("vault key", VAULT_KEY.trim_end_matches('=')),
        ] {
            detector.add(name, value);
        }
        detector.add("vault key", STANDARD.decode(VAULT_KEY).unwrap());
        let process = Process::start_logged(&world.environment, "run", &logs.path().join("log"));
        let story = Self {
            world,
            zoom,
            collector,
            process,
            logs,
            detector,
            said: Vec::new(),
        };
        story.ready().await;
        story.world.register_app().await;
        story
    }

    pub(super) async fn ready(&self) {
        let url = self.ops("/readyz");
        eventually("readiness", async || {
            let request = Request::get(&url).body(Bytes::new()).unwrap();
            let answer = self.world.client.send(request).await.ok()?;
            (answer.status() == 200).then_some(())
        })
        .await;
    }

    pub(super) fn ops(&self, path: &str) -> String {
        format!(
            "http://{}{path}",
            self.world.environment["DOMICILE_HTTP_OPS_LISTEN"]
        )
    }

    pub(super) fn fault(&self, fault: NewFault) {
        self.world.zoom.sim().order_fault(fault).unwrap();
    }

    /// All that the process wrote.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.logs.path().join("log")).unwrap()
    }

    /// Keeps a text, to be searched when all secrets are known.
    pub(super) fn say(&mut self, place: &str, text: &str, may_carry: &[&'static str]) {
        self.said.push(Said {
            place: place.to_owned(),
            text: text.to_owned(),
            may_carry: may_carry.to_vec(),
        });
    }

    /// Keeps an answer like that.
    pub(super) fn keep(&mut self, place: &str, answer: Answer, carries: Carries<'_>) -> Answer {
        let meant_for = |part: &str| -> Vec<_> {
            let of_part = carries.iter().filter(|(where_, _)| *where_ == part);
            of_part.map(|(_, secret)| *secret).collect()
        };
        for (name, value) in &answer.headers {
            let place = format!("the field {name} of the answer to {place}");
            let value = String::from_utf8_lossy(value.as_bytes());
            self.say(&place, &value, &meant_for(name.as_str()));
        }
        let place = format!("the body of the answer to {place} ({})", answer.status);
        let body = String::from_utf8_lossy(&answer.body);
        self.say(&place, &body, &meant_for("body"));
        answer
    }

    pub(super) async fn send(&mut self, place: &str, request: Request<Bytes>) -> Answer {
        let answer = call(&self.world.client, request).await;
        self.keep(place, answer, &[])
    }

    /// A call of the App API with this body, JSON or not.
    pub(super) async fn post_raw(&mut self, path: &str, body: impl Into<Bytes>) -> Answer {
        let request = Request::post(self.world.app_url.join(path).unwrap().as_str())
            .header(AUTHORIZATION, format!("Bearer {API_KEY}"))
            .header(CONTENT_TYPE, "application/json")
            .body(body.into())
            .unwrap();
        self.send(path, request).await
    }

    pub(super) async fn get(&mut self, path: &str, carries: Carries<'_>) -> Answer {
        let answer = self.world.api(Method::GET, path, None).await;
        self.keep(path, answer, carries)
    }

    pub(super) async fn browse(&mut self, browser: &mut Browser, place: &str, url: &Url) -> Answer {
        let answer = browser.get(url).await;
        self.keep(place, answer, &[])
    }

    pub(super) async fn confirm(&mut self, ticket: &str, subject: &str) -> Answer {
        let answer = self.world.confirm(ticket, subject).await;
        self.keep("the confirmation", answer, &[])
    }

    pub(super) async fn connect_url(&mut self, subject: &str) -> Url {
        let body = json!({ "subject": subject, "return_url": self.world.app.return_url() });
        let answer = self
            .world
            .api(Method::POST, "/v1/connect-sessions", Some(body))
            .await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let answer = self.keep("the new session", answer, &[("body", "connect token")]);
        let url = Url::parse(answer.json()["connect_url"].as_str().unwrap()).unwrap();
        let token = url.path_segments().unwrap().next_back().unwrap();
        self.detector.add("connect token", token);
        url
    }

    /// The browser opens the connect URL; gives Zoom's consent page.
    pub(super) async fn start(&mut self, browser: &mut Browser, connect_url: &Url) -> Url {
        let answer = browser.get(connect_url).await;
        let carries = [(SET_COOKIE.as_str(), "cookie"), (LOCATION.as_str(), "state")];
        let authorize_url = self.keep("the start", answer, &carries).location();
        self.detector.add("state", parameter(&authorize_url, "state"));
        for cookie in browser.cookies().values() {
            self.detector.add("cookie", cookie);
        }
        authorize_url
    }

    pub(super) fn decide(&mut self, authorize_url: Url, user: &User, decision: Decision) -> Url {
        let order = ConsentOrder {
            authorize_url,
            user_id: user.id.clone(),
            decision,
            declined_scopes: Vec::new(),
        };
        let callback = self.world.zoom.sim().consent(&order).unwrap();
        if decision == Decision::Allow {
            self.detector.add("code", parameter(&callback, "code"));
        }
        callback
    }

    pub(super) async fn come_back(&mut self, browser: &mut Browser, callback: &Url) -> String {
        let answer = browser.get(callback).await;
        let answer = self.keep("the callback", answer, &[(LOCATION.as_str(), "ticket")]);
        let ticket = ticket_in(&answer.location());
        let (region, random) = ticket.split_once('.').unwrap();
        assert_eq!(region, "eu");
        self.detector.add("ticket", random);
        ticket
    }

    /// From a new session to its ticket.
    pub(super) async fn ticket(&mut self, subject: &str, user: &User) -> String {
        let (mut browser, connect_url) = (Browser::new(), self.connect_url(subject).await);
        let authorize_url = self.start(&mut browser, &connect_url).await;
        let callback = self.decide(authorize_url, user, Decision::Allow);
        self.come_back(&mut browser, &callback).await
    }

    pub(super) async fn one(&self, sql: &str) -> i64 {
        let client = self.world.db.client().await;
        client.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// Makes every waiting job due that was tried before: nobody waits for a backoff.
    pub(super) async fn hurry(&self) {
        let sql = "UPDATE jobs SET due_at = '2000-01-01' WHERE status = 'queued' AND attempts > 0";
        self.world.db.client().await.execute(sql, &[]).await.unwrap();
    }

    /// Waits until the app was told this.
    pub(super) async fn told(&self, event_type: &str) -> ReceivedEvent {
        eventually(event_type, async || {
            self.hurry().await;
            let events = self.world.app.events();
            events.into_iter().find(|event| event.event_type() == event_type)
        })
        .await
    }

    /// What only the wire shows.
    pub(super) fn overheard(&mut self) {
        let wire = self.zoom.text().replace("authorization: b", "authorization: B");
        for (name, marker, least) in [
            ("access token", "\"access_token\":\"", 3),
            ("access token", "authorization: Bearer ", 2),
            ("refresh token", "\"refresh_token\":\"", 3),
            ("refresh token", "refresh_token=", 2),
            ("PKCE verifier", "code_verifier=", 7),
            ("download access token", "\"download_access_token\":\"", 1),
            ("basic credentials", "authorization: Basic ", 1),
            ("e-mail address", "\"email\":\"", 1),
            ("access token", "token=", 1),
        ] {
            let values = wire.split(marker).skip(1).map(|rest| {
                let end = rest.find(['"', '&', '\r', '\n']).unwrap_or(rest.len());
                rest[..end].to_owned()
            });
            let mut found = 0;
            for value in values.filter(|value| value.len() > 8) {
                self.detector.add(name, value);
                found += 1;
            }
            assert!(found >= least, "{marker} was heard {found} times");
        }
    }
}

/// A parameter of a URL's query.
pub(super) fn parameter(url: &Url, name: &str) -> String {
    let mut pairs = url.query_pairs();
    let (_, value) = pairs.find(|(found, _)| found == name).unwrap();
    value.into_owned()
}

/// Status and problem.
pub(super) fn problem(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.problem())
}
