//! A recording, its webhook and the grant behind it, and the ways in which they fail.

use bytes::Bytes;
use domicile_zoomsim::{
    FaultKind, FileKind, FileSelection, NewFault, NewFile, NewMeeting, NewRecording, Target, User,
};
use http::header::{AUTHORIZATION, LOCATION};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use url::Url;

use super::story::{Story, parameter};
use crate::bad_input::{now, signed};
use crate::harness::browser::call;
use crate::harness::eventually;
use crate::harness::world::{OLD_WEBHOOK_SECRET, WEBHOOK_SECRET};

const TOPIC: &str = "Übernahme der \"Nordbank\" & Söhne";

impl Story {
    /// A recording that Zoom serves badly, told by a webhook that others forge.
    pub(super) async fn recording(&mut self, user: &User) {
        let files = [FileKind::Chat, FileKind::M4a, FileKind::Mp4, FileKind::Timeline];
        let ids: Vec<_> = files
            .iter()
            .map(|kind| format!("file-{}", kind.file_type()))
            .collect();
        let files = files.iter().zip(&ids).map(|(kind, id)| NewFile {
            id: Some(id.clone()),
            ..NewFile::new(*kind, 60_000, 7)
        });
        let meeting = NewMeeting {
            host_id: user.id.clone(),
            topic: Some(TOPIC.to_owned()),
            ..NewMeeting::default()
        };
        let recording = NewRecording {
            meeting: Some(meeting),
            files: files.collect(),
            ..NewRecording::default()
        };
        let sim = self.world.zoom.sim().clone();
        let uuid = sim.create_recording(recording).unwrap().uuid;
        let truncated = FaultKind::Truncated {
            at_bytes: 5_000,
            content_length: true,
        };
        for (target, fault, file) in [
            (Target::Download, FaultKind::HtmlPage, &ids[0]),
            (Target::Download, FaultKind::Unauthorized, &ids[1]),
            (Target::Media, truncated, &ids[2]),
            (Target::Media, FaultKind::HtmlPage, &ids[2]),
            (Target::Media, FaultKind::Forbidden, &ids[2]),
            (Target::Download, FaultKind::ServerError { status: 502 }, &ids[3]),
        ] {
            self.fault(NewFault::once(target, fault).for_file(file));
        }
        let broken = FaultKind::ServerError { status: 500 };
        self.fault(NewFault::once(Target::MeetingRecordings, broken));
        let sent = sim
            .finish_recording(&uuid, &FileSelection::default())
            .await
            .unwrap();
        assert_eq!(sent.len(), 1);
        let body = sent[0].body.clone();
        self.webhook(&body);
        self.bad_webhooks(&body).await;
        self.told("recording.stored").await;
        assert_eq!(self.world.app.failed(), 2);
        let left: Vec<_> = sim.faults().into_iter().map(|fault| fault.order.fault).collect();
        assert_eq!(left, [], "every fault was met");
        self.signed_media(&body).await;
        let list = self.get("/v1/recordings", &[("body", "topic")]).await.json();
        let id = list["data"][0]["id"].as_str().unwrap();
        self.get(&format!("/v1/recordings/{id}"), &[("body", "topic")])
            .await;
        let content = list["data"][0]["files"][0]["content_url"].as_str().unwrap();
        assert_eq!(self.get(content, &[]).await.status, 200);
    }

    /// What is personal or opens something in a webhook's body.
    fn webhook(&mut self, body: &str) {
        let body: Value = serde_json::from_str(body).unwrap();
        let object = &body["payload"]["object"];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let tail = |value: &Value| {
            let url = Url::parse(value.as_str().unwrap()).unwrap();
            url.path_segments().unwrap().next_back().unwrap().to_owned()
        };
        let detector = &mut self.detector;
        detector.add("download token", text(&body["download_token"]));
        detector.add("topic", text(&object["topic"]));
        detector.add("e-mail address", text(&object["host_email"]));
        detector.add("passcode", text(&object["password"]));
        detector.add("passcode", text(&object["recording_play_passcode"]));
        detector.add("share URL", tail(&object["share_url"]));
        for file in object["recording_files"].as_array().unwrap() {
            detector.add("download URL", tail(&file["download_url"]));
            if file["play_url"].is_string() {
                detector.add("play URL", tail(&file["play_url"]));
            }
        }
    }

    /// Forged, tampered with, stale, too large, of nobody, unreadable; and the true one a second time.
    async fn bad_webhooks(&mut self, body: &str) {
        let stranger = body.replace("\"host_id\"", "\"host_was\"").replace(
            &serde_json::from_str::<Value>(body).unwrap()["payload"]["account_id"].to_string(),
            "\"an-account-of-nobody\"",
        );
        assert_ne!(stranger, body);
        let tampered = body.replace("Nordbank", "Südbank");
        let cut = &body[..body.len() - 10];
        let challenge = json!({ "event": "endpoint.url_validation", "payload": { "plainToken": body } });
        let url = self.world.public_url.join("/zoom/events").unwrap();
        let with = |secret: &str, time: i64, of: &str| signed(&self.world, secret, time, of.as_bytes());
        let requests = [
            (Request::post(url.as_str()), body.to_owned(), 401),
            (with("a wrong secret", now(), body), body.to_owned(), 401),
            (with(WEBHOOK_SECRET, now(), body), tampered, 401),
            (with(WEBHOOK_SECRET, now() - 6000, body), body.to_owned(), 401),
            (Request::post(url.as_str()), challenge.to_string(), 400),
            (with(WEBHOOK_SECRET, now(), "x"), body.repeat(400), 413),
            (with(WEBHOOK_SECRET, now(), &stranger), stranger.clone(), 200),
            (with(OLD_WEBHOOK_SECRET, now(), cut), cut.to_owned(), 200),
            (with(WEBHOOK_SECRET, now(), body), body.to_owned(), 200),
        ];
        for (request, body, status) in requests {
            let request = request.body(Bytes::from(body)).unwrap();
            assert_eq!(self.send("a webhook", request).await.status, status);
        }
        eventually("the quarantine", async || {
            let rows = self.world.inbox().await;
            let mut reasons: Vec<_> = rows.into_iter().filter_map(|(_, reason)| reason).collect();
            reasons.sort();
            (reasons == ["unknown_account", "unparseable"]).then_some(())
        })
        .await;
    }

    /// The signed query with which Zoom's second host is asked. It holds a time, so what stands before that is the secret.
    async fn signed_media(&mut self, body: &str) {
        let body: Value = serde_json::from_str(body).unwrap();
        for file in body["payload"]["object"]["recording_files"].as_array().unwrap() {
            let request = Request::get(file["download_url"].as_str().unwrap()).header(
                AUTHORIZATION,
                format!("Bearer {}", body["download_token"].as_str().unwrap()),
            );
            let answer = call(&self.world.client, request.body(Bytes::new()).unwrap()).await;
            assert_eq!(answer.status, StatusCode::FOUND);
            let location = Url::parse(answer.headers[LOCATION].to_str().unwrap()).unwrap();
            let data = parameter(&location, "data");
            let (ticket, _signature) = data.split_once('.').unwrap();
            self.detector
                .add("signed media query", &ticket[..ticket.len() - 24]);
        }
    }

    /// Tokens that rotate, and the end of the grant.
    pub(super) async fn refreshes(&mut self) {
        let generation = "SELECT generation FROM grants";
        let before = self.one(generation).await;
        self.fault(NewFault::once(
            Target::Token,
            FaultKind::ServerError { status: 502 },
        ));
        self.run_out().await;
        eventually("a rotation", async || {
            self.hurry().await;
            (self.one(generation).await > before).then_some(())
        })
        .await;
        self.fault(NewFault::once(Target::Token, FaultKind::LostAnswer));
        self.run_out().await;
        self.told("link.needs_reauthorization").await;
        assert_eq!(self.world.zoom.sim().faults().len(), 0);
    }

    /// The access token is at its end, and so it is renewed.
    async fn run_out(&self) {
        let sql =
            "UPDATE grants SET access_expires_at = '2000-01-01', refreshed_at = now() - interval '50 days';
                   UPDATE jobs SET due_at = '2000-01-01' WHERE kind = 'grant.refresh' AND status = 'queued'";
        self.world.db.client().await.batch_execute(sql).await.unwrap();
    }
}
