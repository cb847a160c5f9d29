//! What databases hold already must open for ever. The bytes were made by another implementation of AES-256-GCM.

use domicile_testkit::db::TestDb;

use crate::support::{place, vault};

const DATA_KEY: &str = "01890000-0000-7000-8000-000000000001";

/// A nonce, the bytes 0 to 31 under a region key of 32 ones with the data key's id as associated data, the tag.
const WRAPPED: &str = "090909090909090909090909c40e25cdca3500c6775d4044a2d08b1889d66ce9208a22f12f412a52f24ae1e23a21facc22d2fbc5872f6f83359119b0";

/// The version, the data key's id, a nonce, the text under those bytes with its place as associated data, the tag.
const SEALED: &str = "01018900000000700080000000000000010808080808080808080808085e2bbdf69cf15784a43229bff3bd1e4d8e7766dde6dc862defc117dfd7e33b6791a858df67";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().map(|digit| digit.to_digit(16).unwrap()).collect();
    digits
        .chunks(2)
        .map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap())
        .collect()
}

#[tokio::test]
async fn a_ciphertext_and_a_wrapped_key_of_the_first_version_open() {
    let db = TestDb::create().await;
    let row = format!(
        "INSERT INTO vault_keys (id, zoom_account_id, region_key_id, wrapped_key, created_at)
         VALUES ('{DATA_KEY}', 'A', 'k1', '\\x{WRAPPED}', now())"
    );
    db.client().await.batch_execute(&row).await.unwrap();
    let opened = vault(&db, 1, &[("k2", 2), ("k1", 1)])
        .open_text(place(), &bytes(SEALED))
        .await;
    assert_eq!(opened.unwrap().expose(), "the quarter's numbers");
}
