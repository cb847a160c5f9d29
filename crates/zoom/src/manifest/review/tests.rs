use domicile_region::file::Scope;

use super::super::render::AppKind;
use super::super::render::tests::{SAMPLES, region};
use super::*;

fn text(documents: &[Document], name: &str) -> String {
    documents.iter().find(|it| it.name == name).unwrap().text.clone()
}

#[test]
fn every_scope_event_and_endpoint_stands_in_the_document_that_asks_for_it() {
    for sample in SAMPLES {
        let region = region(sample);
        for kind in AppKind::ALL {
            let app = kind.of(&region).unwrap();
            let pack = pack(&region, kind).unwrap();
            for scope in &app.scopes {
                assert!(
                    text(&pack, "scopes.md").contains(&scope.reason),
                    "{}",
                    scope.scope
                );
                let step = format!("`{}`: ", scope.scope);
                assert!(text(&pack, "test-plan.md").contains(&step), "{}", scope.scope);
            }
            for event in app.events.iter().flat_map(|it| &it.types) {
                assert!(text(&pack, "events.md").contains(event), "{event}");
            }
            for url in [&app.redirect_url, &app.install_url] {
                assert!(text(&pack, "domains.md").contains(url.as_str()), "{url}");
            }
            if let Some(chat) = &app.chat {
                assert!(text(&pack, "test-plan.md").contains(&format!("/{}", chat.slash_command.command)));
                assert!(text(&pack, "domains.md").contains(&chat.message_url));
                assert!(text(&pack, "data-flow.md").contains("messages to the bot"));
            }
            assert!(text(&pack, "data-flow.md").contains(&format!("Service at zoom.{}.", region.region.id)));
            assert!(text(&pack, "data-deletion.md").contains("10 days"));
            let manifest = Manifest::parse(&text(&pack, "manifest.json")).unwrap();
            assert_eq!(manifest, render(&region, kind).unwrap());
        }
    }
}

#[test]
fn no_document_names_a_secret_or_a_host_inside_of_the_region() {
    let region = region(SAMPLES[0]);
    for kind in AppKind::ALL {
        let app = kind.of(&region).unwrap();
        for document in pack(&region, kind).unwrap() {
            for inside in [
                &region.database.host,
                &app.client_secret.name,
                &region.database.name,
            ] {
                assert!(
                    !document.text.contains(inside.as_str()),
                    "{inside} in {}",
                    document.name
                );
            }
        }
    }
}

#[test]
fn every_link_between_the_documents_leads_somewhere_and_tables_are_whole() {
    let mut region = region(SAMPLES[0]);
    region.zoom.apps.linking.scopes.push(Scope {
        scope: "phone:read:call".to_owned(),
        optional: true,
        reason: "Shows a | b\nand c".to_owned(),
    });
    let pack = pack(&region, AppKind::Linking).unwrap();
    for document in pack.iter().filter(|it| it.name != "manifest.json") {
        for (at, _) in document.text.match_indices("](") {
            let target = document.text[at + 2..].split(')').next().unwrap();
            assert!(
                pack.iter().any(|it| it.name == target),
                "{target} in {}",
                document.name
            );
        }
        let mut columns = None;
        for line in document.text.lines() {
            if !line.starts_with('|') {
                columns = None;
                continue;
            }
            let bars = line.replace("\\|", "").matches('|').count();
            assert_eq!(*columns.get_or_insert(bars), bars, "{line}");
        }
    }
    assert!(text(&pack, "test-plan.md").contains("`phone:read:call`: Shows a | b"));
}
