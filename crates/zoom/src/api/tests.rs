use std::sync::Arc;

use domicile_egress::testing;

use super::*;
use crate::fake::{Fake, Noon, Script, client};

struct Setup {
    fake: Fake,
    api: ZoomApi,
    base: ApiBase,
    token: Secret<String>,
}

async fn setup(answers: &[(u16, &str)]) -> Setup {
    let scripts = answers
        .iter()
        .map(|(status, body)| Script::Answer(*status, "", (*body).to_owned()))
        .collect();
    let fake = Fake::start(scripts).await;
    let hosts: Arc<ZoomHosts> = Arc::new("127.0.0.1".parse().unwrap());
    Setup {
        base: hosts.validate_api_url(fake.url.as_str()).unwrap(),
        api: ZoomApi::new(client(testing::TIMEOUTS), hosts, Arc::new(Noon)),
        fake,
        token: Secret::from("TOKEN"),
    }
}

#[tokio::test]
async fn the_user_of_a_token_is_read() {
    let it = setup(&[(200, r#"{"id":"U","account_id":"A","cluster":"us04"}"#)]).await;
    let user = it.api.users_me(&it.base, &it.token).await.unwrap();
    assert_eq!(user.id, ZoomUserId::new("U"));
    let request = &it.fake.requests()[0];
    assert!(request.starts_with("GET /v2/users/me HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("authorization: Bearer TOKEN\r\n"), "{request}");
}

#[tokio::test]
async fn a_recording_is_asked_for_by_encoded_uuid_with_a_download_token_of_at_most_a_week() {
    let it = setup(
        &[(
            200,
            r#"{"uuid":"/a==","id":1,"host_id":"H","download_access_token":"D"}"#,
        ); 2],
    )
    .await;
    let uuid = MeetingUuid::new("/a==");
    let week = Some(Duration::from_hours(24 * 30));
    let recording = it
        .api
        .meeting_recordings(&it.base, &it.token, &uuid, week)
        .await
        .unwrap();
    assert_eq!(recording.download_access_token.unwrap().expose(), "D");
    it.api
        .meeting_recordings(&it.base, &it.token, &uuid, None)
        .await
        .unwrap();
    let lines: Vec<_> = it
        .fake
        .requests()
        .iter()
        .map(|request| request.lines().next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(
        lines,
        [
            "GET /v2/meetings/%252Fa%253D%253D/recordings?include_fields=download_access_token&ttl=604800 HTTP/1.1",
            "GET /v2/meetings/%252Fa%253D%253D/recordings HTTP/1.1",
        ]
    );
}

#[tokio::test]
async fn recordings_are_listed_page_by_page() {
    let it = setup(&[
        (
            200,
            r#"{"meetings":[{"uuid":"a==","id":1,"host_id":"H"}],"next_page_token":"N/1+2"}"#,
        ),
        (200, r#"{"meetings":[],"next_page_token":""}"#),
    ])
    .await;
    let day = |day| NaiveDate::from_ymd_opt(2026, 11, day).unwrap();
    let mut query = RecordingsQuery {
        from: day(1),
        to: day(22),
        next_page_token: None,
    };
    let first = it
        .api
        .list_user_recordings(&it.base, &it.token, &UserRef::Me, &query)
        .await
        .unwrap();
    assert_eq!(first.recordings.len(), 1);
    query.next_page_token = first.next_page_token;
    let user = UserRef::Id(ZoomUserId::new("a/b"));
    let last = it
        .api
        .list_user_recordings(&it.base, &it.token, &user, &query)
        .await
        .unwrap();
    assert!(last.next_page_token.is_none());
    let requests = it.fake.requests();
    assert!(
        requests[0]
            .starts_with("GET /v2/users/me/recordings?from=2026-11-01&to=2026-11-22&page_size=300 HTTP")
    );
    assert!(requests[1].starts_with(
        "GET /v2/users/a%2Fb/recordings?from=2026-11-01&to=2026-11-22&page_size=300&next_page_token=N%2F1%2B2 HTTP"
    ));
}

#[tokio::test]
async fn a_refusal_is_an_error() {
    let it = setup(&[(401, r#"{"code":124,"message":"Invalid access token."}"#)]).await;
    let error = it.api.users_me(&it.base, &it.token).await.unwrap_err();
    assert!(matches!(error, ApiError::Unauthorized { code: Some(124) }));
}

#[tokio::test]
async fn a_base_that_is_no_longer_allowed_is_not_called() {
    let it = setup(&[(200, "{}")]).await;
    let narrower = ZoomApi::new(
        client(testing::TIMEOUTS),
        Arc::new("zoom.us".parse().unwrap()),
        Arc::new(Noon),
    );
    let error = narrower.users_me(&it.base, &it.token).await.unwrap_err();
    assert!(matches!(error, ApiError::HostNotAllowed));
    assert!(it.fake.requests().is_empty());
}
