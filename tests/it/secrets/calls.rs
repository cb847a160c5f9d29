//! Calls of Zoom's API through a link, and the link's end.

use domicile_zoomsim::{FaultKind, NewFault, Target};
use http::Method;

use super::story::Story;
use crate::harness::world::ALICE;

impl Story {
    async fn link_path(&mut self) -> String {
        let links = self.get(&format!("/v1/links?subject={ALICE}"), &[]).await.json();
        format!("/v1/links/{}", links["data"][0]["id"].as_str().unwrap())
    }

    /// Calls that work, that Zoom refuses, and that hold secrets where none belongs.
    pub(super) async fn zoom_calls(&mut self) {
        let zoom = format!("{}/zoom", self.link_path().await);
        // What the app asks for of its own user is meant for it, but never a credential.
        let of_user = [("body", "name"), ("body", "e-mail address")];
        let of_recordings = [
            ("body", "topic"),
            ("body", "e-mail address"),
            ("body", "passcode"),
            ("body", "download URL"),
            ("body", "share URL"),
            ("body", "play URL"),
        ];
        for fault in [None, Some(FaultKind::Unauthorized)] {
            if let Some(fault) = fault {
                self.fault(NewFault::once(Target::Users, fault));
            }
            let answer = self.get(&format!("{zoom}/users/me"), &of_user).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        let answer = self
            .get(&format!("{zoom}/users/me/recordings"), &of_recordings)
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let ticket = "eu.a-ticket-in-the-wrong-place";
        self.detector.add("misplaced ticket", ticket);
        for path in [
            format!("{ticket}/me"),
            format!("users/me%2F{ticket}"),
            format!("users/me/{ticket}"),
            format!("users/me?access_token={ticket}"),
            format!("users/me?include_fields={ticket},download_access_token"),
        ] {
            let answer = self.get(&format!("{zoom}/{path}"), &[]).await;
            assert!(answer.status.is_client_error(), "{path}: {}", answer.text());
        }
        for fault in [FaultKind::LostAnswer, FaultKind::ServerError { status: 503 }] {
            self.fault(NewFault::once(Target::Users, fault));
            let answer = self.get(&format!("{zoom}/users/me"), &[]).await;
            assert_eq!(answer.status, 503);
        }
    }

    /// The link's end.
    pub(super) async fn unlinking(&mut self) {
        let path = self.link_path().await;
        let answer = self.world.api(Method::DELETE, &path, None).await;
        assert_eq!(self.keep("the unlinking", answer, &[]).status, 204);
        self.told("link.revoked").await;
    }
}
