//! The story: link, record, fetch, compare, tell, and what must not change.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use standardwebhooks::Webhook;
use tokio::time::{MissedTickBehavior, interval};
use url::Url;

use super::browser::{Browser, Page};
use super::html;
use super::report::{Report, bytes};
use crate::dev::http::{Digested, Http};
use crate::dev::stack::Region;
use crate::dev::zoom::{PEOPLE, Person, Zoom, list};
use crate::run::{Failure, Outcome};

/// How long the region may take for anything that it does by itself.
const PATIENCE: Duration = Duration::from_secs(90);

/// The app's user of the story, as the demo app knows her.
pub(crate) const ALICE: (&str, &str) = ("alice", "user:1001");

/// Tells it, on what was started for it.
pub(crate) struct Story {
    pub(crate) report: Report,
    pub(crate) http: Http,
    pub(crate) zoom: Zoom,
    pub(crate) region: Region,
    /// Whom Alice is at Zoom: the first one whose home is the region.
    pub(crate) person: &'static Person,
    alice: Browser,
}

/// A recording that zoomsim has made.
pub(crate) struct Meeting {
    pub(crate) uuid: String,
    /// Digest by kind of file.
    served: BTreeMap<String, Digested>,
}

/// One file of a stored recording, as the App API shows it.
struct StoredFile {
    id: String,
    kind: String,
    extension: String,
    digested: Digested,
}

/// All that a webhook may change.
#[derive(Debug, PartialEq)]
struct Snapshot {
    recordings: Value,
    objects: BTreeMap<PathBuf, (u64, SystemTime)>,
    events: Vec<String>,
}

impl Story {
    pub(crate) fn new(report: Report, http: Http, zoom: Zoom, region: Region) -> Outcome<Self> {
        let person = PEOPLE.iter().find(|person| person.region == region.id);
        Ok(Self {
            person: person.ok_or_else(|| Failure(format!("nobody at Zoom lives in {}", region.id)))?,
            alice: Browser::new(http.clone()),
            report,
            http,
            zoom,
            region,
        })
    }

    /// Plays it from the first to the last step.
    pub(crate) async fn play(&mut self, video_bytes: u64) -> Outcome {
        self.report.step("Alice signs in at the demo app");
        let mut alice = Browser::new(self.http.clone());
        self.sign_in(&mut alice, ALICE.0).await?;
        self.alice = alice;
        self.report.proof("signed in as", ALICE.1);

        let link_id = self.connect().await?;
        self.refuse_another().await?;

        self.report
            .step("Zoom finishes a recording and sends its webhooks");
        let meeting = self.record("Quarterly results", video_bytes).await?;
        self.report
            .step("The region fetches every file into its own storage");
        let recording = self.stored(&meeting).await?;
        let recording_id = text(&recording["id"])?;
        self.compare(&recording, &recording_id, &meeting, &link_id)
            .await?;
        self.report.step("The region tells the app");
        let event = self.event_of(&recording_id).await?;
        self.verify(&event)?;
        self.replay(&meeting).await?;
        self.report.end();
        Ok(())
    }

    async fn sign_in(&self, browser: &mut Browser, user: &str) -> Outcome {
        let page = browser.visit(&self.region.demo_url("/sign-in")).await?;
        let answer = browser.submit(&page, "/sign-in", &[("user", user)]).await?;
        answer.leads_to().map(drop)
    }

    /// Alice presses "Connect Zoom", consents at Zoom, comes back, and is linked.
    async fn connect(&mut self) -> Outcome<String> {
        self.report
            .step("She presses “Connect Zoom”, and the region sends her to Zoom's consent page");
        let back = self.consent().await?;
        self.report
            .step("Back at the app, the ticket is confirmed for her session");
        let page = self.alice.visit(&back).await?;
        self.report.proof("the app says", flash(&page)?);
        let links = self.app_api(&["links"], &[("subject", ALICE.1)]).await?;
        let link = list(&links["data"])
            .first()
            .ok_or_else(|| Failure("there is no link".to_owned()))?;
        expect("the link's status", &link["status"], &json!("active"))?;
        expect(
            "the linked Zoom user",
            &link["zoom"]["user_id"],
            &json!(self.person.id),
        )?;
        expect(
            "the linked Zoom account",
            &link["zoom"]["account_id"],
            &json!(self.person.account_id),
        )?;
        let id = text(&link["id"])?;
        self.report.proof("link", format!("{id}, active"));
        self.report.proof("subject", text(&link["subject"])?);
        self.report.proof("Zoom user", self.person.id);
        Ok(id)
    }

    /// From the settings page through region and consent to the URL with the ticket.
    async fn consent(&mut self) -> Outcome<Url> {
        let settings = self.alice.visit(&self.region.demo_url("/settings")).await?;
        let connect_url = self
            .alice
            .submit(&settings, "/zoom/connect", &[])
            .await?
            .leads_to()?;
        self.report.proof("connect URL", without_query(&connect_url));
        let authorize = self.alice.open(&connect_url).await?.leads_to()?;
        let parameter = |name: &str| {
            authorize
                .query_pairs()
                .find(|(it, _)| it == name)
                .map(|(_, value)| value.into_owned())
        };
        expect("PKCE", &json!(parameter("code_challenge_method")), &json!("S256"))?;
        parameter("state").ok_or_else(|| Failure("the consent page is asked without state".to_owned()))?;
        self.report.proof(
            "consent page",
            format!("{}, with state and PKCE S256", without_query(&authorize)),
        );
        let page = self.alice.open(&authorize).await?.shown()?;
        let choice = [("user_id", self.person.id), ("decision", "allow")];
        let callback = self
            .alice
            .submit(&page, "/oauth/authorize", &choice)
            .await?
            .leads_to()?;
        self.report.proof(
            "consent of",
            format!("{} {}", self.person.first_name, self.person.last_name),
        );
        self.report.proof("callback", without_query(&callback));
        let back = self.alice.open(&callback).await?.leads_to()?;
        if !back.query_pairs().any(|(name, _)| name == "ticket") {
            return Err(Failure(format!(
                "the callback led to {} without a ticket",
                without_query(&back)
            )));
        }
        Ok(back)
    }

    /// INV-6: a ticket that lands in another user's session links nobody.
    async fn refuse_another(&mut self) -> Outcome {
        self.report.step("Bob opens what Alice began: he is refused");
        let back = self.consent().await?;
        let mut bob = Browser::new(self.http.clone());
        self.sign_in(&mut bob, "bob").await?;
        let page = bob.visit(&back).await?;
        let said = flash(&page)?;
        let links = self.app_api(&["links"], &[("subject", "user:1002")]).await?;
        expect("Bob's links", &links["data"], &json!([]))?;
        self.report.proof("the app tells Bob", said);
        self.report.proof("Bob's links", "none");
        Ok(())
    }

    /// zoomsim records a meeting of Alice's and announces its files.
    pub(crate) async fn record(&self, topic: &str, video_bytes: u64) -> Outcome<Meeting> {
        let order = json!({
            "meeting": { "host_id": self.person.id, "topic": topic },
            "files": [
                { "kind": "mp4", "size_bytes": video_bytes },
                { "kind": "m4a", "size_bytes": video_bytes / 10 },
                { "kind": "transcript", "size_bytes": 20_000 },
                { "kind": "chat", "size_bytes": 3_000 },
            ],
        });
        let meeting = self
            .zoom
            .order(Method::POST, &["recordings"], Some(&order))
            .await?;
        let uuid = text(&meeting["uuid"])?;
        self.report.proof("meeting", format!("“{topic}”, {uuid}"));
        for change in ["finish", "finish-transcript"] {
            let sent = self
                .zoom
                .order(Method::POST, &["recordings", &uuid, change], None)
                .await?;
            let delivery = list(&sent)
                .first()
                .ok_or_else(|| Failure("Zoom told nobody".to_owned()))?;
            expect("the webhook's delivery", &delivery["state"], &json!("delivered"))?;
            let status = &delivery["attempts"][0]["result"]["status"];
            self.report.proof(
                "webhook",
                format!("{}, answered {status}", text(&delivery["event"])?),
            );
        }
        let mut served = BTreeMap::new();
        for file in list(
            &self
                .zoom
                .order(Method::GET, &["recordings", &uuid, "files"], None)
                .await?,
        ) {
            let digested = Digested {
                size_bytes: number(&file["size_bytes"])?,
                sha256: text(&file["sha256"])?,
            };
            served.insert(text(&file["file_type"])?.to_lowercase(), digested);
        }
        Ok(Meeting { uuid, served })
    }

    /// Waits until each file of the meeting is stored.
    async fn stored(&self, meeting: &Meeting) -> Outcome<Value> {
        let mut waiting = Waiting::new(&format!("the recording of {} to be stored", meeting.uuid));
        loop {
            waiting.tick().await?;
            let found = self.app_api(&["recordings"], &[("subject", ALICE.1)]).await?;
            let recording = list(&found["data"])
                .iter()
                .find(|it| it["meeting"]["uuid"] == meeting.uuid.as_str());
            let Some(recording) = recording else {
                self.report.progress("the webhook is in the inbox");
                continue;
            };
            let files = list(&recording["files"]);
            let stored = files.iter().filter(|file| file["status"] == "stored").count();
            self.report
                .progress(&format!("{stored} of {} files stored", meeting.served.len()));
            waiting.last = recording.to_string();
            if stored == meeting.served.len() && recording["status"] == "stored" {
                return Ok(recording.clone());
            }
        }
    }

    /// Each file's bytes as served, as stored, through the App API and through the app: all the same.
    async fn compare(
        &self,
        recording: &Value,
        recording_id: &str,
        meeting: &Meeting,
        link_id: &str,
    ) -> Outcome {
        self.report.proof("recording", recording_id);
        for file in list(&recording["files"]) {
            let file = StoredFile {
                id: text(&file["id"])?,
                kind: text(&file["kind"])?,
                extension: text(&file["extension"])?,
                digested: Digested {
                    size_bytes: number(&file["size_bytes"])?,
                    sha256: text(&file["sha256"])?,
                },
            };
            let served = meeting.served.get(&file.kind.to_lowercase());
            let served = served.ok_or_else(|| Failure(format!("Zoom served no {}", file.kind)))?;
            let object = self.object_of(link_id, recording_id, &file)?;
            let on_disk = digest_of(&object)?;
            let content = self.api_url(&["recordings", recording_id, "files", &file.id, "content"]);
            let request = Request::get(content.as_str()).header(
                header::AUTHORIZATION,
                format!("Bearer {}", self.region.secrets.app_api_key),
            );
            let from_api = self.http.digest(request.body(Bytes::new())?).await?;
            let played = self
                .region
                .demo_url(&format!("/recordings/{recording_id}/files/{}", file.id));
            let played = self.http.digest(self.alice.request(&played)?).await?;
            self.report
                .proof(&format!("file {}", file.kind), bytes(served.size_bytes));
            self.report.proof("  served by Zoom", &served.sha256);
            for (name, found) in [
                ("  said by App API", &file.digested),
                ("  stored object", &on_disk),
                ("  read by App API", &from_api),
                ("  played in the app", &played),
            ] {
                self.report.proof(name, &found.sha256);
                if found != served {
                    return Err(Failure(format!(
                        "{} differs{name}: {found:?}, served {served:?}",
                        file.kind
                    )));
                }
            }
        }
        Ok(())
    }

    /// The one object of a file: its key begins with the file's id, and the attempt's own part follows.
    fn object_of(&self, link_id: &str, recording_id: &str, file: &StoredFile) -> Outcome<PathBuf> {
        let folder = Path::new(link_id).join(recording_id);
        let (id, ending) = (&file.id, format!(".{}", file.extension));
        let of_file = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            path.parent().is_some_and(|parent| parent.ends_with(&folder))
                && name.starts_with(id.as_str())
                && name.ends_with(&ending)
        };
        let mut found: Vec<_> = objects(&self.region.storage())?
            .into_keys()
            .filter(of_file)
            .collect();
        match (found.pop(), found.len()) {
            (Some(object), 0) => Ok(object),
            (_, others) => Err(Failure(format!(
                "{} objects of the file {id} are in {}, expected one",
                others,
                self.region.storage().display()
            ))),
        }
    }

    /// Waits for the last event about this recording: the one that has every file.
    async fn event_of(&self, recording_id: &str) -> Outcome<Value> {
        let mut waiting = Waiting::new("the event recording.stored");
        loop {
            waiting.tick().await?;
            self.report.progress("waiting for the event");
            let events = self.events().await?;
            waiting.last = format!("{} events", events.len());
            for event in events {
                let body: Value = serde_json::from_str(&text(&event["body"])?)?;
                let recording = &body["data"]["recording"];
                let complete = list(&recording["files"])
                    .iter()
                    .filter(|file| file["status"] == "stored")
                    .count()
                    == 4;
                if body["type"] == "recording.stored" && recording["id"] == recording_id && complete {
                    return Ok(event);
                }
            }
        }
    }

    /// The app's word is not enough: the signature is checked here again.
    fn verify(&self, event: &Value) -> Outcome {
        let signed = text(&event["body"])?;
        let mut headers = HeaderMap::new();
        for (name, member) in [
            (standardwebhooks::HEADER_WEBHOOK_ID, "webhook_id"),
            (standardwebhooks::HEADER_WEBHOOK_TIMESTAMP, "webhook_timestamp"),
            (standardwebhooks::HEADER_WEBHOOK_SIGNATURE, "webhook_signature"),
        ] {
            headers.insert(name, text(&event[member])?.parse()?);
        }
        let secret = Webhook::new(&self.region.secrets.events_secret)?;
        secret.verify(signed.as_bytes(), &headers)?;
        let tampered = signed.replace("recording.stored", "recording.forged");
        if secret.verify(tampered.as_bytes(), &headers).is_ok() {
            return Err(Failure("a forged event verifies too".to_owned()));
        }
        let body: Value = serde_json::from_str(&signed)?;
        expect("the event's id", &body["id"], &event["webhook_id"])?;
        expect("the event's subject", &body["subject"], &json!(ALICE.1))?;
        expect("the event's region", &body["region"], &json!(self.region.id))?;
        self.report.proof("event", text(&event["webhook_id"])?);
        self.report.proof("type", text(&body["type"])?);
        self.report.proof(
            "signature",
            "verified by `standardwebhooks`; a forged body is refused",
        );
        Ok(())
    }

    /// The same webhook again, then a new recording: only the new one shows.
    async fn replay(&mut self, meeting: &Meeting) -> Outcome {
        self.report
            .step("Zoom delivers the same webhooks again: nothing changes");
        let before = self.snapshot().await?;
        let log = self.zoom.order(Method::GET, &["webhooks"], None).await?;
        for sent in list(&log)
            .iter()
            .filter(|sent| text(&sent["body"]).is_ok_and(|body| body.contains(&meeting.uuid)))
        {
            let order = json!({
                "event": sent["event"], "raw_body": sent["body"], "client_id": sent["client_id"],
                "user_id": self.person.id,
            });
            let again = self.zoom.order(Method::POST, &["events"], Some(&order)).await?;
            let delivery = list(&again)
                .first()
                .ok_or_else(|| Failure("nothing was sent".to_owned()))?;
            expect("the replay's delivery", &delivery["state"], &json!("delivered"))?;
            let status = &delivery["attempts"][0]["result"]["status"];
            self.report.proof(
                "replayed",
                format!("{}, answered {status}", text(&sent["event"])?),
            );
        }
        // What the replay set going would be done before what comes after it: jobs and events have their order.
        let next = self.record("Afterwards", 200_000).await?;
        let recording = self.stored(&next).await?;
        let recording_id = text(&recording["id"])?;
        self.event_of(&recording_id).await?;
        let after = self.snapshot().await?.without(&recording_id);
        if after != before {
            return Err(Failure(format!(
                "the replay changed something:\n{before:#?}\n{after:#?}"
            )));
        }
        self.report.proof("recordings, files", "as before");
        self.report.proof(
            "stored objects",
            format!("{} as before, none written again", before.objects.len()),
        );
        self.report.proof(
            "events",
            format!("{} as before, none delivered again", before.events.len()),
        );
        Ok(())
    }

    async fn snapshot(&self) -> Outcome<Snapshot> {
        let recordings = self.app_api(&["recordings"], &[("subject", ALICE.1)]).await?;
        let events = self.events().await?;
        Ok(Snapshot {
            recordings: recordings["data"].clone(),
            objects: objects(&self.region.storage())?,
            events: events.iter().map(Value::to_string).collect(),
        })
    }

    /// What the demo app has received for Alice.
    async fn events(&self) -> Outcome<Vec<Value>> {
        let request = self.alice.request(&self.region.demo_url("/events.json"))?;
        let answer = self.http.call(request).await?;
        Ok(serde_json::from_slice(&answer.body)?)
    }

    pub(crate) async fn app_api(&self, path: &[&str], query: &[(&str, &str)]) -> Outcome<Value> {
        let mut url = self.api_url(path);
        url.query_pairs_mut().extend_pairs(query);
        self.http
            .json(Method::GET, &url, Some(&self.region.secrets.app_api_key), None)
            .await
    }

    fn api_url(&self, path: &[&str]) -> Url {
        self.region.app_url(&format!("/v1/{}", path.join("/")))
    }
}

impl Snapshot {
    /// The same, without one recording, its files and its events.
    fn without(mut self, recording_id: &str) -> Self {
        if let Value::Array(recordings) = &mut self.recordings {
            recordings.retain(|recording| recording["id"] != recording_id);
        }
        self.objects
            .retain(|path, _| !path.to_string_lossy().contains(recording_id));
        self.events.retain(|event| !event.contains(recording_id));
        self
    }
}

/// Looks again and again, but not for ever.
pub(crate) struct Waiting {
    what: String,
    start: Instant,
    ticks: tokio::time::Interval,
    /// What was seen last, for the failure.
    pub(crate) last: String,
}

impl Waiting {
    pub(crate) fn new(what: &str) -> Self {
        let mut ticks = interval(Duration::from_millis(150));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            what: what.to_owned(),
            start: Instant::now(),
            ticks,
            last: "nothing".to_owned(),
        }
    }

    pub(crate) async fn tick(&mut self) -> Outcome {
        self.ticks.tick().await;
        if self.start.elapsed() > PATIENCE {
            let (what, seconds, last) = (&self.what, PATIENCE.as_secs(), &self.last);
            return Err(Failure(format!(
                "{seconds} s were not enough for {what}; last seen: {last}"
            )));
        }
        Ok(())
    }
}

/// Every file in the storage folder, with length and time of writing.
fn objects(folder: &Path) -> Outcome<BTreeMap<PathBuf, (u64, SystemTime)>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                found.insert(entry.path(), (metadata.len(), metadata.modified()?));
            }
        }
    }
    Ok(found)
}

fn digest_of(path: &Path) -> Outcome<Digested> {
    let mut file = File::open(path)?;
    let (mut hash, mut size_bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1024 * 1024]);
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(Digested {
                size_bytes,
                sha256: hex::encode(hash.finalize()),
            });
        }
        hash.update(&buffer[..count]);
        size_bytes += count as u64;
    }
}

/// The message at the top of the app's page: its title and its text, without its sign.
fn flash(page: &Page) -> Outcome<String> {
    let found = html::class(&page.answer.text(), "flash").unwrap_or_default();
    match &found[..] {
        [_, title, text @ ..] => Ok(format!("{title}. {}", text.join(" "))),
        _ => Err(Failure(format!("the app says nothing:\n{}", page.words()))),
    }
}

fn expect(what: &str, found: &Value, wanted: &Value) -> Outcome {
    if found == wanted {
        return Ok(());
    }
    Err(Failure(format!("{what} is {found}, not {wanted}")))
}

fn text(value: &Value) -> Outcome<String> {
    let found = value.as_str().map(str::to_owned);
    found.ok_or_else(|| Failure(format!("an answer has {value} where text belongs")))
}

fn number(value: &Value) -> Outcome<u64> {
    value
        .as_u64()
        .ok_or_else(|| Failure(format!("an answer has {value} where a number belongs")))
}

/// Queries hold codes, states and tickets.
fn without_query(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.into()
}
