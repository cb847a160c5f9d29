use domicile_kernel::{MailboxId, ZoomAccountId, ZoomUserId};
use sha2::{Digest, Sha256};

/// The mailbox of what one Zoom user says to the bot: it is told in order, and waits for nothing else. It is the same before
/// and after linking, and names nobody: a UUID of version 8 (RFC 9562 section 5.8) made of a digest.
pub fn mailbox(account: &ZoomAccountId, user: Option<&ZoomUserId>) -> MailboxId {
    let user = user.map_or("", ZoomUserId::as_str);
    let mut digest = Sha256::new();
    digest.update(b"domicile bot mailbox\0");
    // The length tells where the account's id ends.
    digest.update(account.as_str().len().to_be_bytes());
    digest.update(account.as_str());
    digest.update(user);
    let digest = digest.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    MailboxId::from_uuid(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_user_of_each_account_has_one() {
        let of = |account: &str, user: Option<&str>| {
            mailbox(&ZoomAccountId::new(account), user.map(ZoomUserId::new).as_ref())
        };
        assert_eq!(of("a", Some("b")), of("a", Some("b")));
        assert_ne!(of("a", Some("bc")), of("ab", Some("c")));
        assert_ne!(of("a", None), of("a", Some("b")));
        assert_eq!(of("a", None).as_uuid().get_version_num(), 8);
    }
}
