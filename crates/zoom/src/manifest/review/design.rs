//! The technical documents: how data flows, how it is deleted, how it is protected.

use super::{Values, row, table};

/// Where the region keeps what it takes, in words fit for a reviewer: no host inside the region is named.
fn places(values: &Values<'_>) -> Vec<(&'static str, String)> {
    let region = values.region;
    let provider_region = |name: Option<&str>| name.map_or_else(String::new, |name| format!(", at {name}"));
    let storage = if region.objects.url.starts_with("s3:") {
        format!(
            "object storage (S3){}",
            provider_region(region.objects.region.as_deref())
        )
    } else {
        "a disk of the region's own".to_owned()
    };
    let key_places: Vec<_> = region
        .vault
        .keys
        .iter()
        .filter_map(|key| key.aws_kms.as_deref()?.split(':').nth(3))
        .collect();
    let keys = match key_places.first() {
        Some(place) => format!("a key service (AWS KMS), at {place}"),
        None => "the region's own secret store".to_owned(),
    };
    vec![
        ("the recordings' files", storage),
        (
            "everything else",
            "a PostgreSQL database of the region's own".to_owned(),
        ),
        ("key-encryption keys", keys),
    ]
}

/// `data-flow.md`
pub(super) fn data_flow(values: &Values<'_>) -> String {
    let Values {
        region, app, host, ..
    } = values;
    let (id, name) = (&region.region.id, &region.region.name);
    let events = (!app.events.is_empty()).then_some("  zoom -- \"signed events\" --> service\n");
    let bot = app
        .chat
        .is_some()
        .then_some("  zoom -- \"messages to the bot, signed\" --> service\n  service -- \"answers of the bot\" --> zoom\n");
    let told = region
        .app
        .events_url
        .as_ref()
        .map(|_| "  service -- \"signed events\" --> app\n");
    let edges = [events, bot, told].into_iter().flatten().collect::<String>();
    let places = table(
        &["data", "kept in"],
        places(values).iter().map(|(what, place)| row(&[what, place])),
    );
    format!(
        "# Data flow of {app_name}\n\n```mermaid\nflowchart LR\n  user([\"Zoom user and browser\"])\n  zoom[\"Zoom\"]\n  \
         subgraph {node} [\"Region {name}\"]\n    service[\"Service at {host}\"]\n    database[(\"Database, sealed\")]\n    \
         storage[(\"Object storage\")]\n    keys[\"Key service\"]\n    app[\"Application\"]\n  end\n  user -- \"consent\" --> \
         zoom\n  user -- \"install page, callback\" --> service\n  service -- \"OAuth, API, downloads over TLS\" --> zoom\n\
         {edges}  service --> database\n  service --> storage\n  service -- \"wrap and unwrap keys\" --> keys\n  app -- \
         \"App API with a key\" --> service\n```\n\nEvery arrow to or from Zoom is https with TLS 1.2 or newer. Nothing leaves the \
         region {name} (jurisdiction {jurisdiction}): no other region has a part in any of these flows, and the service may \
         call no host that the region's configuration does not name.\n\n## Where data lies\n\n{places}",
        app_name = app.name,
        node = id.replace('-', "_"),
        jurisdiction = region.region.jurisdiction,
    )
}

/// `data-deletion.md`
pub(super) fn deletion(values: &Values<'_>) -> String {
    let Values { region, app, .. } = values;
    let listing = &region.zoom.listing;
    let rows = [
        (
            "access and refresh tokens",
            "sealed",
            "revoked at Zoom where they still work, and destroyed",
        ),
        (
            "Zoom ids of user and account",
            "plain, to route events",
            "kept in the ended link's row as a tombstone, so that late events find nobody",
        ),
        (
            "bodies of events",
            "sealed",
            "unreadable with the account's key, or after their retention, whichever is first",
        ),
        ("recordings: topic, time, host", "sealed", "deleted"),
        (
            "recordings: files",
            "encrypted at rest",
            "deleted from the object storage",
        ),
    ]
    .map(|(data, form, end)| row(&[data, form, end]));
    let table = table(&["data", "kept", "after the link has ended"], rows);
    format!(
        "# Deletion of data: {name}\n\n{company} deletes what it holds of a Zoom user when the link is ended in \
         the application. Where the user, or the account's administrator, removes the app at Zoom instead, Zoom no longer takes \
         the link's tokens; the application is told so and ends the link. Deletion begins at once and is complete within 10 \
         days.\n\n{table}\nWhat is sealed is encrypted under a key of its Zoom \
         account. When no link of that account is left, the key is destroyed, and with it everything that was sealed under it, \
         copies in backups included. Counters that name nobody remain.\n\nRequests of data subjects: {contact}, or <{support}>. \
         The privacy policy is at <{privacy}>.\n",
        name = app.name,
        company = listing.company_name,
        contact = listing.contact_email,
        support = listing.support_url,
        privacy = listing.privacy_url,
    )
}

/// `technical-design.md`
pub(super) fn technical(values: &Values<'_>) -> String {
    let Values { region, app, .. } = values;
    let questions = [
        ("Does all traffic use TLS 1.2 or newer?", "yes; endpoints answer https alone, and the service calls nothing but https"),
        ("Are webhooks verified?", "yes, by `x-zm-signature` with the secret token, in constant time, before anything is read"),
        ("Is stored Zoom data encrypted?", "yes: tokens, event bodies, topics and names under a key of the Zoom account; files by the storage"),
        ("Are secrets kept out of logs?", "yes: the types that hold them cannot be printed, and tests search all output for planted ones"),
        ("Are tokens cached until they expire?", "yes; they are refreshed once for all, shortly before they run out"),
        ("Is there polling?", "no; events tell of recordings, and listing only finds what events missed"),
        ("Can a user who removed the app add it again?", "yes; a dead authorization is shown as such and renewed by connecting again"),
        ("Are redirect URIs minimal?", "yes: full URLs, strict mode and sub-domain check on"),
        ("Is OAuth state checked?", "yes: one-time, bound to the browser, with PKCE S256; the application confirms who finished"),
    ]
    .map(|(question, answer)| row(&[question, answer]));
    let questions = table(&["question", "answer"], questions);
    format!(
        "# Technical design: {name}\n\n## Stack\n\nOne service in Rust behind the region's load balancer, PostgreSQL, object \
         storage{kms}, all in the region {region} and used by no other region. The {kind} app is {usage}. The diagram is in \
         [data-flow.md](data-flow.md).\n\n## Questions\n\n{questions}",
        name = app.name,
        kms = if region.vault.keys.iter().any(|key| key.aws_kms.is_some()) {
            " and a key service"
        } else {
            ""
        },
        region = region.region.name,
        kind = values.kind,
        usage = match app.usage {
            domicile_region::file::AppUsage::UserManaged =>
                "user-managed: each user authorizes it for herself",
            domicile_region::file::AppUsage::AdminManaged =>
                "admin-managed: an administrator authorizes it for the account",
        },
    )
}
