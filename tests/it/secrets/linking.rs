//! Linking, and the ways in which it fails.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domicile_zoomsim::{Decision, FaultKind, NewFault, RetryAfterForm, Target, User};
use http::header::{AUTHORIZATION, COOKIE};
use http::{Method, Request};
use serde_json::json;
use url::Url;

use super::story::{Story, WRONG_KEY, parameter, problem};
use crate::harness::browser::Browser;
use crate::harness::world::{ALICE, API_KEY, BOB};

impl Story {
    /// Keys that are wrong, absent or in the wrong place.
    async fn wrong_keys(&mut self) {
        let basic = format!("Basic {}", STANDARD.encode(format!("app:{API_KEY}")));
        for (query, key) in [
            ("", Some(format!("Bearer {WRONG_KEY}"))),
            ("", Some(format!("Token {API_KEY}"))),
            ("", Some(basic)),
            ("?api_key=the-apps-own-key", None),
        ] {
            let url = self.world.app_url.join(&format!("/v1/links{query}")).unwrap();
            let mut request = Request::get(url.as_str());
            if let Some(key) = key {
                request = request.header(AUTHORIZATION, key);
            }
            let request = request.body(Bytes::new()).unwrap();
            let answer = self.send("a wrong key", request).await;
            assert_eq!(problem(&answer), (401, "unauthenticated".to_owned()));
        }
    }

    /// Bodies and addresses that hold a good ticket and cannot be read.
    async fn malformed_requests(&mut self, ticket: &str, connect_url: &Url) {
        let confirm = "/v1/connect-sessions/confirm";
        for body in [
            format!("{ticket:?}"),
            format!("[{ticket:?}]"),
            ticket.to_owned(),
            format!(r#"{{"ticket":"{ticket}","subject":"user:1001""#),
            format!(r#"{{"ticket":["{ticket}"],"subject":"user:1001"}}"#),
            format!(r#"{{"ticket":{{"is":"{ticket}"}},"subject":"user:1001"}}"#),
            format!(r#"{{"ticket":{ticket},"subject":"user:1001"}}"#),
            format!(r#"{{"ticket":"{ticket}","ticket":"{ticket}","subject":"user:1001"}}"#),
            format!(r#"{{"ticket":"{ticket}","subject":"{ticket}"}}"#),
            format!(r#"{{"ticket":"{ticket}","subject":"user:1001","again":"{ticket}"}}"#),
            format!(r#"{{"ticket":"{ticket}"}}"#),
            format!("ticket={ticket}&subject=user:1001"),
        ] {
            let answer = self.post_raw(confirm, body.clone()).await;
            assert!(answer.status.is_client_error(), "{body}: {}", answer.text());
        }
        // A member that nobody knows is named, so that its spelling can be mended; here alone the secret comes back, to
        // whom it came from.
        let body = json!({ ticket: "ticket" });
        let answer = self.world.api(Method::POST, confirm, Some(body)).await;
        let answer = self.keep("an unknown member", answer, &[("body", "ticket")]);
        assert_eq!(answer.status, 422);
        let broken = [format!("{{\"ticket\":\"{ticket}").as_bytes(), b"\xff\xfe\"}"].concat();
        assert!(self.post_raw(confirm, broken).await.status.is_client_error());
        let large = format!("{{\"ticket\":\"{}\"}}", ticket.repeat(50_000));
        assert!(self.post_raw(confirm, large).await.status.is_client_error());
        for body in [
            format!(r#"{{"subject":"user:1001","return_url":"{ticket}"}}"#),
            format!(
                r#"{{"subject":"user:1001","return_url":"https://{ticket}.example/{ticket}?ticket={ticket}"}}"#
            ),
            format!(r#"{{"subject":["{ticket}"],"return_url":"https://app.example/"}}"#),
        ] {
            let answer = self.post_raw("/v1/connect-sessions", body.clone()).await;
            assert!(answer.status.is_client_error(), "{body}: {}", answer.text());
        }
        for path in [
            format!("/v1/{ticket}"),
            format!("/v1/links/{ticket}"),
            format!("/v1/links?cursor={ticket}"),
            format!("/v1/links?limit={ticket}"),
            format!("/v1/links?subject={ticket}"),
            format!("/v1/recordings/{ticket}"),
        ] {
            let answer = self.get(&path, &[]).await;
            assert!(answer.status.is_client_error(), "{path}: {}", answer.text());
        }
        for path in ["more", "../../oauth/callback/more"] {
            let url = Url::parse(&format!("{connect_url}/{path}")).unwrap();
            let answer = self.browse(&mut Browser::new(), path, &url).await;
            assert!(answer.status.is_client_error());
        }
        let post = Request::post(connect_url.as_str()).header(COOKIE, format!("domicile-connect={ticket}"));
        let answer = self
            .send("a POST to the connect URL", post.body(Bytes::new()).unwrap())
            .await;
        assert_eq!(answer.status, 405);
        let ops = Request::get(self.ops(&format!("/{ticket}")))
            .body(Bytes::new())
            .unwrap();
        assert_eq!(self.send("the ops listener", ops).await.status, 404);
    }

    /// The ways in which a link does not come about, and then the one in which it does.
    pub(super) async fn linking(&mut self, user: &User) {
        self.wrong_keys().await;

        // Another subject, the right one too late, and the same again.
        let ticket = self.ticket(BOB, user).await;
        let answer = self.confirm(&ticket, ALICE).await;
        assert_eq!(problem(&answer), (403, "subject_mismatch".to_owned()));
        assert!(self.confirm(&ticket, BOB).await.status.is_client_error());

        // Consent refused.
        let (mut browser, connect_url) = (Browser::new(), self.connect_url(ALICE).await);
        let authorize_url = self.start(&mut browser, &connect_url).await;
        let callback = self.decide(authorize_url, user, Decision::Decline);
        assert_eq!(
            self.browse(&mut browser, "a refused consent", &callback)
                .await
                .status,
            200
        );

        // A code in another browser, without a state, and twice in one URL.
        let (mut browser, connect_url) = (Browser::new(), self.connect_url(ALICE).await);
        let authorize_url = self.start(&mut browser, &connect_url).await;
        let callback = self.decide(authorize_url, user, Decision::Allow);
        let twice = Url::parse(&format!("{callback}&code=another")).unwrap();
        assert!(
            self.browse(&mut browser, "two codes", &twice)
                .await
                .status
                .is_client_error()
        );
        let mut stateless = callback.clone();
        stateless.set_query(Some(&format!("code={}", parameter(&callback, "code"))));
        assert_eq!(
            self.browse(&mut browser, "no state", &stateless).await.status,
            200
        );
        let answer = self
            .browse(&mut Browser::new(), "another browser", &callback)
            .await;
        assert_eq!(answer.status, 403);
        assert_eq!(
            self.browse(&mut browser, "a spent state", &callback).await.status,
            404
        );

        // Zoom's token endpoint loses its answer, refuses the code, and the API does not know the token.
        let busy = FaultKind::RateLimited {
            retry_after: RetryAfterForm::Seconds,
            seconds: 1,
        };
        for (target, fault) in [
            (Target::Token, FaultKind::LostAnswer),
            (Target::Token, busy),
            (Target::Token, FaultKind::InvalidGrant),
            (Target::Token, FaultKind::ServerError { status: 503 }),
            (Target::Token, FaultKind::Unauthorized),
            (Target::Users, FaultKind::Unauthorized),
        ] {
            let ticket = self.ticket(ALICE, user).await;
            self.fault(NewFault::once(target, fault.clone()));
            let answer = self.confirm(&ticket, ALICE).await;
            assert!(answer.status.is_server_error(), "{fault:?}: {}", answer.text());
        }

        // The one that comes about, whatever came before.
        let (mut browser, connect_url) = (Browser::new(), self.connect_url(ALICE).await);
        self.start(&mut Browser::new(), &connect_url).await;
        let authorize_url = self.start(&mut browser, &connect_url).await;
        let callback = self.decide(authorize_url, user, Decision::Allow);
        let ticket = self.come_back(&mut browser, &callback).await;
        self.malformed_requests(&ticket, &connect_url).await;
        let answer = self.confirm(&ticket, ALICE).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(problem(&self.confirm(&ticket, ALICE).await).0, 410);
        assert_eq!(
            self.browse(&mut browser, "a used link", &connect_url)
                .await
                .status,
            410
        );
    }
}
