//! The envelope of any body, and the challenge in it.

#![no_main]

use domicile_zoom::challenge::{self, PlainToken};
use domicile_zoom::event::{Envelope, EventKind};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fn names_or_routes(text: &str) {
    assert!((1..=256).contains(&text.len()) && !text.chars().any(char::is_control));
}

fuzz_target!(|body: &[u8]| {
    let envelope = Envelope::parse(body);
    if let Ok(envelope) = &envelope {
        names_or_routes(&envelope.event);
        envelope
            .account_id
            .iter()
            .for_each(|id| names_or_routes(id.as_str()));
        envelope
            .user_id
            .iter()
            .for_each(|id| names_or_routes(id.as_str()));
        envelope.client_id.iter().for_each(|id| names_or_routes(id));
        assert_eq!(envelope.kind(), EventKind::from_name(&envelope.event));
        // Order, spacing and escapes decide nothing: another writer's form of the same value is the same envelope.
        // (`serde_json::Value` gives one name of its own a second meaning.)
        if let Ok(value) = serde_json::from_slice::<Value>(body)
            && !value.to_string().contains("$serde_json")
        {
            assert_eq!(
                Envelope::parse(value.to_string().as_bytes()).as_ref(),
                Ok(envelope)
            );
        }
    }
    if let Err(error) = &envelope {
        let _ = error.to_string();
    }
    let challenged = matches!(&envelope, Ok(envelope) if envelope.kind() == EventKind::UrlValidation);
    let token = challenge::parse(body);
    assert_eq!(token.is_some(), challenged);
    if let Some(Ok(token)) = token {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.=+/-".contains(&b);
        assert!((1..=PlainToken::MAX_LENGTH).contains(&token.as_str().len()));
        assert!(token.as_str().bytes().all(plain));
    }
});
