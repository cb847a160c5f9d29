//! What the region says of itself, signed: where its data is, and whom its processes contacted.

use std::fs;

use domicile_zoomsim::FileKind;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::crash::world_with;
use crate::harness::process;
use crate::harness::world::{ALICE, World};

const SEED: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";

fn domicile(world: &World, arguments: &[&str]) -> Result<String, String> {
    let mut environment = world.environment.clone();
    environment.insert("DOMICILE_EVIDENCE_KEY".to_owned(), SEED.to_owned());
    let output = process::run(&environment, arguments);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() {
        Ok(text(output.stdout))
    } else {
        Err(text(output.stderr))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_s_way_is_in_the_evidence_and_the_evidence_verifies() {
    let (world, mut process) = world_with("run").await;
    let user = world.zoom_user();
    world.link(ALICE, &user).await;
    world.stored_recording(&user, &[(FileKind::Mp4, 20_000)]).await;
    process.signal(Signal::SIGTERM);
    assert!(process.ended().await.success());

    let folder = tempfile::tempdir().unwrap();
    let span = ["--from", "2020-01-01T00:00:00Z", "--to", "2100-01-01T00:00:00Z"];
    let out = ["evidence", span[0], span[1], span[2], span[3], "--out"];
    let arguments: Vec<_> = out.into_iter().chain([folder.path().to_str().unwrap()]).collect();
    domicile(&world, &arguments).unwrap();
    let file = folder.path().join("evidence.json");
    let text = fs::read_to_string(&file).unwrap();
    let evidence = serde_json::from_str::<Value>(&text).unwrap()["evidence"].clone();

    // Everything that was contacted is a party of this test, and nothing else.
    let contacted = evidence["contacted"].as_array().unwrap();
    let purposes: Vec<_> = contacted
        .iter()
        .map(|it| it["purpose"].as_str().unwrap())
        .collect();
    for purpose in ["zoom_oauth", "zoom_api", "zoom_download", "app_events"] {
        assert!(purposes.contains(&purpose), "{purpose} is not among {purposes:?}");
    }
    for contact in contacted {
        let host = contact["host"].as_str().unwrap();
        assert!(host == "127.0.0.1" || host.ends_with("localhost"), "{contact}");
        assert!(contact["calls"].as_i64().unwrap() > 0, "{contact}");
    }
    let downloaded: i64 = contacted
        .iter()
        .filter(|it| it["purpose"] == "zoom_download")
        .map(|it| it["received_bytes"].as_i64().unwrap())
        .sum();
    assert!(downloaded >= 20_000, "{downloaded}");
    assert_eq!(evidence["refused"], serde_json::json!([]));
    let stored = |kind: &str| -> (i64, i64) {
        let rows = evidence["stored"].as_array().unwrap();
        let of_kind = rows.iter().filter(|row| row["kind"] == kind);
        of_kind.fold((0, 0), |(count, size), row| {
            (
                count + row["count"].as_i64().unwrap(),
                size + row["size_bytes"].as_i64().unwrap(),
            )
        })
    };
    assert_eq!(stored("recording_files.objects"), (1, 20_000));
    assert_eq!(stored("links").0, 1);
    assert_eq!(evidence["deployment"]["region_id"], "eu");
    assert_eq!(evidence["keys"][0]["seals"], true);

    // Whoever has the public key needs neither the region nor its settings.
    let public_key = domicile(&world, &["evidence", "public-key"]).unwrap();
    let verify = |path: &str| {
        let arguments = ["evidence", "verify", path, "--public-key", public_key.trim()];
        process::run(&[].into(), &arguments)
    };
    let good = verify(file.to_str().unwrap());
    assert!(good.status.success() && String::from_utf8_lossy(&good.stdout).starts_with("Good: "));
    let forged = folder.path().join("forged.json");
    fs::write(
        &forged,
        text.replace("\"calls\": 1,", "\"calls\": 2,")
            .replace("20000", "10000"),
    )
    .unwrap();
    let bad = verify(forged.to_str().unwrap());
    assert!(!bad.status.success());
    assert!(String::from_utf8_lossy(&bad.stderr).contains("the document was changed"));

    // The page is for people, and no secret is in either.
    let page = fs::read_to_string(folder.path().join("evidence.html")).unwrap();
    assert!(page.contains("Residency evidence of European Union"));
    for (name, value) in &world.environment {
        let secret =
            ["SECRET", "KEYS"].iter().any(|word| name.contains(word)) || name == "DOMICILE_DATABASE_URL";
        assert!(
            !secret || !(text.contains(value.as_str()) || page.contains(value.as_str())),
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_or_a_span_it_says_what_is_missing() {
    let world = World::without_region().await;
    let span = [
        "evidence",
        "--from",
        "2026-01-01T00:00:00Z",
        "--to",
        "2026-01-01T00:00:00Z",
    ];
    assert!(
        domicile(&world, &span)
            .unwrap_err()
            .contains("--from must be earlier")
    );
    assert!(domicile(&world, &["evidence"]).unwrap_err().contains("--from"));
    let output = process::run(&world.environment, &["evidence", "public-key"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("DOMICILE_EVIDENCE_KEY is not set"));
}
