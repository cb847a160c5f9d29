use domicile_kernel::{ZoomAccountId, ZoomUserId};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{ApiError, RecordingsPage, ZoomUser};
use crate::recording::{MeetingRecording, WireRecording};
use crate::wire::{List, Object, Scalar};

fn object<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice::<Object<T>>(body)
        .ok()
        .and_then(|object| object.0)
        .ok_or(ApiError::Unreadable("the answer is not a JSON object"))
}

pub(super) fn user(body: &[u8]) -> Result<ZoomUser, ApiError> {
    #[derive(Deserialize)]
    struct Wire {
        #[serde(default)]
        id: Scalar,
        #[serde(default)]
        account_id: Scalar,
        #[serde(default)]
        cluster: Scalar,
    }

    let wire: Wire = object(body)?;
    let id = |scalar: Scalar, missing| {
        scalar
            .id(missing)
            .ok()
            .flatten()
            .ok_or(ApiError::Unreadable(missing))
    };
    Ok(ZoomUser {
        id: ZoomUserId::new(id(wire.id, "the user has no id")?),
        account_id: ZoomAccountId::new(id(wire.account_id, "the user has no account_id")?),
        cluster: wire
            .cluster
            .text()
            .filter(|text| text.len() <= 32 && text.bytes().all(|b| b.is_ascii_alphanumeric())),
    })
}

pub(super) fn recording(body: &[u8]) -> Result<MeetingRecording, ApiError> {
    MeetingRecording::try_from(object::<WireRecording>(body)?)
        .map_err(|_| ApiError::Unreadable("the recording has no uuid, no host or a malformed id"))
}

pub(super) fn recordings_page(body: &[u8]) -> Result<RecordingsPage, ApiError> {
    #[derive(Deserialize)]
    struct Wire {
        #[serde(default)]
        meetings: List<WireRecording>,
        #[serde(default)]
        next_page_token: Scalar,
    }

    let wire: Wire = object(body)?;
    let listed = wire.meetings.0.len();
    let recordings: Vec<_> = wire
        .meetings
        .0
        .into_iter()
        .filter_map(|meeting| MeetingRecording::try_from(meeting).ok())
        .collect();
    Ok(RecordingsPage {
        unreadable: listed - recordings.len(),
        recordings,
        next_page_token: wire.next_page_token.secret(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_ids_and_cluster_of_a_user_are_kept() {
        let me = json!({"id":"U","account_id":"A","email":"e@example.com","cluster":"eu01","type":2});
        assert_eq!(
            user(me.to_string().as_bytes()).unwrap(),
            ZoomUser {
                id: ZoomUserId::new("U"),
                account_id: ZoomAccountId::new("A"),
                cluster: Some("eu01".to_owned()),
            }
        );
        assert!(matches!(user(br#"{"id":"U"}"#), Err(ApiError::Unreadable(_))));
        assert!(matches!(user(b"<html>"), Err(ApiError::Unreadable(_))));
    }

    #[test]
    fn an_unreadable_recording_does_not_cost_the_page() {
        let page = json!({
            "from":"2026-11-01","to":"2026-11-20","page_size":300,"next_page_token":"",
            "meetings":[
                {"uuid":"a==","id":"81234567890","type":"2","host_id":"H","topic":"T","recording_files":[{"id":"f"}]},
                {"id":1},
                {"uuid":"b==","id":2,"host_id":"H"},
            ]
        });
        let page = recordings_page(page.to_string().as_bytes()).unwrap();
        assert_eq!(page.recordings.len(), 2);
        assert_eq!(page.recordings[0].meeting_id, Some(81_234_567_890));
        assert_eq!(page.unreadable, 1);
        assert!(page.next_page_token.is_none());
    }

    #[test]
    fn the_download_token_of_a_recording_is_read() {
        let body = json!({"uuid":"a==","id":1,"host_id":"H","account_id":"A","download_access_token":"T"});
        let recording = recording(body.to_string().as_bytes()).unwrap();
        assert_eq!(recording.download_access_token.unwrap().expose(), "T");
    }
}
