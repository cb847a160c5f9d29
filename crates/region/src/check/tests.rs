//! Properties of the check as a whole.

use proptest::prelude::*;

use super::mutations::{changed, samples};
use super::{Report, check, check_alone};
use crate::document::Source;
use crate::report::Format;
use crate::rule::Rule;

#[test]
fn a_file_alone_is_checked_as_far_as_it_goes() {
    for source in samples()
        .into_iter()
        .filter(|it| !it.name.ends_with("directory.yaml"))
    {
        let document = check_alone(&source).unwrap();
        assert_eq!(format!("regions/{}.yaml", document.file.region.id), source.name);
    }
    // It cannot know whether another region makes an exception needful, nor what its own file was called.
    let mut source = changed(
        "regions/uk.yaml",
        "deployment:",
        "exceptions: [{rule: image-digest, reason: the pilot}]\ndeployment:",
    )
    .remove(1);
    source.name = "/etc/domicile/region.yaml".to_owned();
    assert!(check_alone(&source).is_ok());
    source.text = source.text.replace("/oauth/callback", "/callback");
    let findings = check_alone(&source).unwrap_err().0;
    assert_eq!(
        findings.iter().map(|it| it.rule).collect::<Vec<_>>(),
        [Rule::RedirectUrl, Rule::RedirectUrl]
    );
}

#[test]
fn an_exception_may_be_for_one_path() {
    let sources = changed(
        "regions/uk.yaml",
        "deployment:\n  namespace: domicile-uk",
        "exceptions: [{rule: scopes-differ, path: zoom.apps.bot.scopes, reason: the pilot}]\ndeployment:\n  namespace: domicile-uk",
    );
    let rules = |sources: &[Source]| check(sources).iter().map(|it| it.rule).collect::<Vec<_>>();
    assert_eq!(rules(&sources), [Rule::ExceptionUnused]);
    let mut sources = sources;
    sources[1].text = sources[1].text.replace("          optional: true\n", "");
    assert_eq!(rules(&sources), [Rule::ScopesDiffer, Rule::ExceptionUnused]);
    sources[1].text = sources[1]
        .text
        .replace("zoom.apps.bot.scopes", "zoom.apps.linking.scopes");
    assert_eq!(rules(&sources), []);
}

#[test]
fn an_unreadable_file_does_not_hide_what_the_others_share() {
    let mut sources = changed("regions/uk.yaml", "admission: open", "admission: maybe");
    sources[2].text = sources[2].text.replace("domicile_us", "domicile_eu");
    let rules: Vec<_> = check(&sources).iter().map(|it| it.rule).collect();
    assert!(rules.contains(&Rule::Unreadable) && rules.contains(&Rule::SharedDatabaseName));
    // And what is not there because it could not be read is no stranger to the directory.
    assert!(!rules.contains(&Rule::DirectoryEntry), "{rules:?}");
}

#[test]
fn no_report_repeats_a_secret() {
    for (from, to) in [
        (
            "clientSecret: {name: domicile-uk-zoom, key: client-secret}",
            "clientSecret: hunter2",
        ),
        ("startUrl: https://", "startUrl: https://ann:hunter2@"),
        (
            "host: domicile-rw.domicile-uk.svc",
            "host: postgres://u:hunter2@db.example/d",
        ),
    ] {
        let report = Report::of(&changed("regions/uk.yaml", from, to));
        assert!(!report.findings.is_empty());
        for format in [Format::Human, Format::Json, Format::Sarif, Format::Markdown] {
            assert!(!report.render(format).contains("hunter2"), "{to}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever two regions are given alike, something is found; whatever order the files come in, the same is found.
    #[test]
    fn a_copied_line_is_found_and_the_order_of_files_does_not_matter(pick in 0usize..10_000, turn in 0usize..4) {
        let mut sources = samples();
        let theirs: Vec<String> = sources[0].text.lines().map(str::to_owned).collect();
        let mut ours: Vec<String> = sources[1].text.lines().map(str::to_owned).collect();
        // The samples are written alike, so their lines are pairs.
        prop_assert_eq!(theirs.len(), ours.len());
        let different: Vec<usize> = (0..ours.len()).filter(|at| ours[*at] != theirs[*at]).collect();
        // What is told to people may be the same in two regions.
        let told = ["#", "name: Example Corp", "contactEmail", "description", "Example for Zoom brings", "Zoom is processed",
            "Example Bot answers", "nowhere else", "body"];
        let matter: Vec<usize> = different.into_iter()
            .filter(|at| !told.iter().any(|it| ours[*at].trim_start().starts_with(it)))
            .collect();
        let at = matter[pick % matter.len()];
        ours[at].clone_from(&theirs[at]);
        sources[1].text = ours.join("\n") + "\n";
        let findings = check(&sources);
        prop_assert!(!findings.is_empty(), "{}", ours[at]);
        sources.rotate_left(turn);
        prop_assert_eq!(check(&sources), findings);
    }

    #[test]
    fn no_file_makes_the_check_panic(from in 0usize..4000, length in 0usize..40, text in "\\PC{0,20}") {
        let mut sources = samples();
        let mut characters: Vec<char> = sources[1].text.chars().collect();
        let from = from.min(characters.len());
        let to = (from + length).min(characters.len());
        characters.splice(from..to, text.chars());
        sources[1].text = characters.into_iter().collect();
        let report = Report::of(&sources);
        for format in [Format::Human, Format::Json, Format::Sarif, Format::Markdown] {
            let _ = report.render(format);
        }
    }
}
