//! What must hold after a fault run.

use std::collections::{BTreeMap, HashMap};

/// What the generator knows of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// SHA-256 of the body.
    pub digest: [u8; 32],
    /// A 2xx was the last answer.
    pub accepted: bool,
    /// An answer was neither 2xx nor 5xx: Zoom would never have sent it again.
    pub refused: bool,
}

/// One kind of broken promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Broken {
    /// Answered 2xx, and not there.
    Lost,
    /// There more than once.
    Twice,
    /// There, and never sent.
    Invented,
    /// Answered with a status after which Zoom gives up.
    Refused,
    /// Never accepted, however often it was sent.
    NeverAccepted,
}

impl Broken {
    /// The words for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "answered 2xx and not in the inbox",
            Self::Twice => "in the inbox more than once",
            Self::Invented => "in the inbox and never sent",
            Self::Refused => "answered with a status after which Zoom gives up",
            Self::NeverAccepted => "never accepted",
        }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    /// Events that were answered 2xx and are there once.
    pub kept: u64,
    /// How often each promise was broken; empty when all were held.
    pub broken: BTreeMap<Broken, u64>,
}

impl Findings {
    /// Every promise was held.
    pub fn all_held(&self) -> bool {
        self.broken.is_empty()
    }
}

/// Compares what the generator was answered with the digests that are stored.
pub fn check(
    claims: impl IntoIterator<Item = Claim>,
    stored: impl IntoIterator<Item = [u8; 32]>,
) -> Findings {
    let mut rows: HashMap<[u8; 32], u64> = HashMap::new();
    for digest in stored {
        *rows.entry(digest).or_default() += 1;
    }
    let mut findings = Findings::default();
    let mut note = |broken: Broken, count: u64| {
        if count > 0 {
            *findings.broken.entry(broken).or_default() += count;
        }
    };
    let mut kept = 0;
    for claim in claims {
        let times = rows.remove(&claim.digest).unwrap_or(0);
        note(Broken::Twice, u64::from(times > 1));
        note(Broken::Lost, u64::from(claim.accepted && times == 0));
        note(Broken::Refused, u64::from(claim.refused));
        note(Broken::NeverAccepted, u64::from(!claim.accepted));
        kept += u64::from(claim.accepted && times == 1);
    }
    note(Broken::Invented, rows.values().sum());
    findings.kept = kept;
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(number: u8, accepted: bool) -> Claim {
        Claim {
            digest: [number; 32],
            accepted,
            refused: false,
        }
    }

    fn broken(claims: &[Claim], stored: &[u8]) -> Vec<(Broken, u64)> {
        let stored = stored.iter().map(|number| [*number; 32]);
        check(claims.iter().copied(), stored).broken.into_iter().collect()
    }

    #[test]
    fn all_is_well_when_everything_was_accepted_and_is_there_once() {
        let findings = check([claim(1, true), claim(2, true)], [[2; 32], [1; 32]]);
        assert!(findings.all_held());
        assert_eq!(findings.kept, 2);
        assert!(check([], []).all_held());
    }

    #[test]
    fn each_broken_promise_is_found() {
        let both = [claim(1, true), claim(2, true)];
        assert_eq!(broken(&both, &[1]), [(Broken::Lost, 1)]);
        assert_eq!(broken(&both, &[1, 2, 2, 2]), [(Broken::Twice, 1)]);
        assert_eq!(broken(&both, &[1, 2, 3, 3]), [(Broken::Invented, 2)]);
        let refused = Claim {
            refused: true,
            ..claim(1, true)
        };
        assert_eq!(broken(&[refused], &[1]), [(Broken::Refused, 1)]);
    }

    #[test]
    fn an_event_that_was_never_accepted_is_a_fault_whether_or_not_it_is_there() {
        assert_eq!(broken(&[claim(1, false)], &[]), [(Broken::NeverAccepted, 1)]);
        assert_eq!(broken(&[claim(1, false)], &[1]), [(Broken::NeverAccepted, 1)]);
    }
}
