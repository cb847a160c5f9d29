//! What a call that brought no answer means, and what to do about it.

use std::error::Error;

use domicile_egress::EgressError;

/// An error with its causes. Errors of the tools never hold a secret (INV-3).
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some libraries repeat their cause in their own text.
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// Whether TLS failed, and not the connection below it.
pub(super) fn is_certificate(error: &EgressError) -> bool {
    matches!(error, EgressError::Connect { .. }) && chain(error).contains("certificate")
}

/// What to do where the host of this setting gave no answer.
pub(super) fn remedy(error: &EgressError, setting: &str) -> String {
    match error {
        EgressError::Refused(refused) => format!(
            "the fence does not let it out ({}): the host or its address must be allowed by {setting}",
            refused.reason().as_str()
        ),
        EgressError::Dns { .. } => {
            format!("the host in {setting} has no address: correct it, or mend the cluster's DNS")
        }
        EgressError::Connect { .. } if is_certificate(error) => certificate_remedy(&chain(error), setting),
        EgressError::Connect { .. } => format!(
            "nothing accepts connections there: start it, correct {setting}, or open the network policy for it"
        ),
        EgressError::Timeout { .. } => format!(
            "packets are lost or the other side hangs: open the firewall or network policy for the host in {setting}"
        ),
        EgressError::Setup { .. } => {
            "install the system's certificate authorities (the package ca-certificates) in the image"
                .to_owned()
        }
        _ => format!(
            "what answers does not speak HTTP as it should: see what stands before the host in {setting}"
        ),
    }
}

fn certificate_remedy(text: &str, setting: &str) -> String {
    let text = text.to_ascii_lowercase();
    if text.contains("expired") {
        "the certificate has expired: renew it, and see why it was not renewed in time".to_owned()
    } else if text.contains("not valid for name") || text.contains("notvalidforname") {
        format!(
            "the certificate is for another host: {setting} or the ingress's certificate names the wrong one, or DNS leads elsewhere"
        )
    } else if ["unknownissuer", "unknown issuer", "badsignature"]
        .iter()
        .any(|word| text.contains(word))
    {
        // The last is how it is said of an authority that has only the name of a known one.
        "no public authority vouches for the certificate: serve the whole chain, issued by a public authority"
            .to_owned()
    } else {
        "the certificate is not accepted: replace it".to_owned()
    }
}
