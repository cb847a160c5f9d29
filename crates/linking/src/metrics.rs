//! Linking's metrics.

use std::sync::LazyLock;

use domicile_kernel::state::{GrantState, ReauthorizationReason, RevocationReason, TextState};
use opentelemetry::metrics::{Counter, Gauge};
use opentelemetry::{KeyValue, global};

pub(crate) struct LinkingMetrics {
    sessions: Counter<u64>,
    refreshes: Counter<u64>,
    strays: Counter<u64>,
    zoom_calls: Counter<u64>,
    links_ended: Counter<u64>,
    revocations: Counter<u64>,
    erasures: Counter<u64>,
    leases_lost: Counter<u64>,
    grants: Gauge<i64>,
    session_tokens: Counter<u64>,
    jwks_fetches: Counter<u64>,
}

pub(crate) static METRICS: LazyLock<LinkingMetrics> = LazyLock::new(|| {
    let meter = global::meter("domicile.linking");
    LinkingMetrics {
        sessions: meter
            .u64_counter("domicile.connect_sessions")
            .with_description("Connect sessions by the state that they reached and the reason of a refusal")
            .build(),
        refreshes: meter
            .u64_counter("domicile.grant.refreshes")
            .with_description("Refreshes of grants by outcome and error or reason")
            .build(),
        leases_lost: meter
            .u64_counter("domicile.grant.leases_lost")
            .with_description(
                "Refreshers that lost their grant to another before they had written what came of it",
            )
            .build(),
        grants: meter
            .i64_gauge("domicile.grants")
            .with_description(
                "Grants by state; only `fresh` is counted every five minutes, the others every 15 seconds",
            )
            .build(),
        links_ended: meter
            .u64_counter("domicile.links.ended")
            .with_unit("{link}")
            .with_description("Links that ended, by reason")
            .build(),
        revocations: meter
            .u64_counter("domicile.grant.revocations")
            .with_unit("{grant}")
            .with_description("Grants of ended links that have ended at Zoom, by how")
            .build(),
        erasures: meter
            .u64_counter("domicile.links.erased")
            .with_unit("{link}")
            .with_description(
                "Ended links of which nothing is kept any more, by whether the account's key was destroyed",
            )
            .build(),
        zoom_calls: meter
            .u64_counter("domicile.zoom.calls")
            .with_unit("{call}")
            .with_description("Calls of Zoom's API on the app's behalf by pattern, method and outcome")
            .build(),
        strays: meter
            .u64_counter("domicile.connect_sessions.refused_steps")
            .with_description("Steps that were refused and changed nothing, by who tried")
            .build(),
        session_tokens: meter
            .u64_counter("domicile.app.session_tokens")
            .with_description("Verifications of the app's session tokens by outcome")
            .build(),
        jwks_fetches: meter
            .u64_counter("domicile.app.jwks_fetches")
            .with_description("Fetches of the app's keys by outcome")
            .build(),
    }
});

impl LinkingMetrics {
    pub(crate) fn session(&self, state: &'static str, reason: &'static str) {
        self.sessions.add(
            1,
            &[KeyValue::new("state", state), KeyValue::new("reason", reason)],
        );
    }

    pub(crate) fn stray(&self, actor: &'static str) {
        self.strays.add(1, &[KeyValue::new("actor", actor)]);
    }

    pub(crate) fn link_ended(&self, reason: &'static str) {
        self.links_ended.add(1, &[KeyValue::new("reason", reason)]);
    }

    pub(crate) fn revocation(&self, how: &'static str) {
        self.revocations.add(1, &[KeyValue::new("outcome", how)]);
    }

    pub(crate) fn erasure(&self, how: &'static str) {
        self.erasures.add(1, &[KeyValue::new("outcome", how)]);
    }

    /// `outcome` is the class of Zoom's status, or why there is none.
    pub(crate) fn zoom_call(&self, method: &str, pattern: &str, outcome: &'static str) {
        let attributes = [
            KeyValue::new("http.request.method", method.to_owned()),
            KeyValue::new("http.route", pattern.to_owned()),
            KeyValue::new("outcome", outcome),
        ];
        self.zoom_calls.add(1, &attributes);
    }

    pub(crate) fn refresh(&self, outcome: &'static str, error_type: &'static str) {
        let labels = [
            KeyValue::new("outcome", outcome),
            KeyValue::new("error.type", error_type),
        ];
        self.refreshes.add(1, &labels);
    }

    pub(crate) fn lease_lost(&self) {
        self.leases_lost.add(1, &[]);
    }

    /// Sets the states that are not good, so that what went away reads zero; and the good one where it was counted.
    pub(crate) fn grants(&self, troubled: &[(GrantState, i64)], fresh: Option<i64>) {
        let count = |state: GrantState| match state {
            GrantState::Fresh => fresh,
            state => {
                let found = troubled.iter().find(|(is, _)| *is == state);
                Some(found.map_or(0, |(_, count)| *count))
            }
        };
        for state in GrantState::ALL {
            if let Some(grants) = count(*state) {
                self.grants
                    .record(grants, &[KeyValue::new("state", state.as_str())]);
            }
        }
    }

    /// Shows every counter from the start, so that a rate has a zero to begin at.
    pub(crate) fn start_at_zero(&self) {
        for state in ["created", "started", "awaiting_confirmation", "completed"] {
            self.sessions
                .add(0, &[KeyValue::new("state", state), KeyValue::new("reason", "")]);
        }
        for outcome in ["renewed", "overtaken", "unlinked"] {
            let labels = [KeyValue::new("outcome", outcome), KeyValue::new("error.type", "")];
            self.refreshes.add(0, &labels);
        }
        for reason in ReauthorizationReason::ALL {
            let labels = [
                KeyValue::new("outcome", "ended"),
                KeyValue::new("error.type", reason.as_str()),
            ];
            self.refreshes.add(0, &labels);
        }
        for reason in RevocationReason::ALL {
            self.links_ended
                .add(0, &[KeyValue::new("reason", reason.as_str())]);
        }
        self.leases_lost.add(0, &[]);
        for actor in ["browser", "app"] {
            self.strays.add(0, &[KeyValue::new("actor", actor)]);
        }
    }

    pub(crate) fn session_token(&self, outcome: &'static str) {
        self.session_tokens.add(1, &[KeyValue::new("outcome", outcome)]);
    }

    pub(crate) fn jwks_fetch(&self, outcome: &'static str) {
        self.jwks_fetches.add(1, &[KeyValue::new("outcome", outcome)]);
    }
}
