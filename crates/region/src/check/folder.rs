//! What the folder as a whole must be: names of files, the public directory, the order of releases.

use super::{DIRECTORY, Finder};
use crate::directory::Directory;
use crate::document::{Document, Source};
use crate::finding::Finding;
use crate::rule::Rule;

/// What became of the public directory.
#[derive(Clone, Copy)]
pub(super) enum Listed<'a> {
    Missing,
    /// What is wrong with it was found when it was read.
    Unreadable,
    Read(&'a Directory),
}

pub(super) fn check(
    sources: &[Source],
    documents: &[Document],
    listed: Listed<'_>,
    findings: &mut Vec<Finding>,
) {
    let regions: Vec<_> = sources
        .iter()
        .filter(|source| source.file_name() != DIRECTORY)
        .collect();
    if regions.is_empty() {
        findings.push(Finding::new(
            Rule::NoRegions,
            "",
            "there is no file of a region",
            "name the folder that holds them, such as regions/",
        ));
        return;
    }
    for document in documents {
        file_name(&mut Finder::new(document, findings));
    }
    release_order(documents, findings);
    let beside = regions
        .first()
        .map_or("", |source| source.name.as_str())
        .rsplit_once('/')
        .map_or_else(String::new, |(folder, _)| format!("{folder}/"));
    let name = sources
        .iter()
        .find(|source| source.file_name() == DIRECTORY)
        .map_or_else(|| format!("{beside}{DIRECTORY}"), |source| source.name.clone());
    match listed {
        Listed::Missing => findings.push(Finding {
            file: name,
            ..Finding::new(
                Rule::Directory,
                "",
                "there is no public directory beside the regions",
                "list every region with id, name, install_url and zoom_clusters",
            )
        }),
        Listed::Read(directory) => {
            for document in documents {
                entry(&mut Finder::new(document, findings), directory);
            }
            strangers(sources, documents, directory, &name, findings);
        }
        Listed::Unreadable => {}
    }
}

fn file_name(finder: &mut Finder<'_>) {
    let id = &finder.document.file.region.id;
    let name = finder.document.name.rsplit('/').next().unwrap_or_default();
    let stem = name
        .strip_suffix(".yaml")
        .or_else(|| name.strip_suffix(".yml"))
        .unwrap_or(name);
    if stem != id {
        finder.find(
            Rule::FileName,
            "region.id",
            format!("the file is called {name}, but the region {id}"),
            format!("call the file {id}.yaml, or mend the id"),
        );
    }
}

/// What the directory says of a region must be what its file says.
fn entry(finder: &mut Finder<'_>, directory: &Directory) {
    let file = &finder.document.file;
    let found = directory
        .regions()
        .iter()
        .find(|entry| entry.id.as_str() == file.region.id);
    let Some(entry) = found else {
        finder.find(
            Rule::DirectoryEntry,
            "region.id",
            format!("{DIRECTORY} does not list {}", file.region.id),
            format!("list it in {DIRECTORY}"),
        );
        return;
    };
    if entry.name != file.region.name {
        let reason = format!("{DIRECTORY} calls it {:?}", entry.name);
        finder.find(
            Rule::DirectoryEntry,
            "region.name",
            reason,
            "write one name in both",
        );
    }
    let mut ours = file.region.zoom_clusters.clone();
    let mut theirs = entry.zoom_clusters.clone();
    ours.sort_unstable();
    theirs.sort_unstable();
    if ours != theirs {
        let reason = format!("{DIRECTORY} says {}", theirs.join(", "));
        finder.find(
            Rule::DirectoryEntry,
            "region.zoomClusters",
            reason,
            "write the same clusters in both",
        );
    }
    let install = format!("{}/install", file.base_url());
    if entry.install_url.as_str() != install {
        let reason = format!(
            "{DIRECTORY} leads to {}, but this region's page is {install}",
            entry.install_url
        );
        finder.find(
            Rule::DirectoryEntry,
            "http.publicUrl",
            reason,
            format!("write {install} in {DIRECTORY}, or mend the public URL"),
        );
    }
}

/// What the directory lists and no file describes.
fn strangers(
    sources: &[Source],
    documents: &[Document],
    directory: &Directory,
    name: &str,
    findings: &mut Vec<Finding>,
) {
    for (index, entry) in directory.regions().iter().enumerate() {
        let id = entry.id.as_str();
        let described = documents.iter().any(|document| document.file.region.id == id);
        // A file that could not be read is found as such.
        let unread = sources.iter().any(|source| {
            let stem = source.file_name().split('.').next();
            stem == Some(id) && !documents.iter().any(|document| document.name == source.name)
        });
        if !described && !unread {
            findings.push(Finding {
                file: name.to_owned(),
                ..Finding::new(
                    Rule::DirectoryEntry,
                    format!("regions[{index}].id"),
                    format!("no file describes the region {id}"),
                    format!("write {id}.yaml, or remove the entry"),
                )
            });
        }
    }
}

/// A release reaches the regions one after the other: each has a place of its own, and there are as many places as regions.
fn release_order(documents: &[Document], findings: &mut Vec<Finding>) {
    const REMEDY: &str =
        "number the regions 1, 2, 3, each once, in the order in which a release reaches them";
    for (index, document) in documents.iter().enumerate() {
        let order = document.file.deployment.release_order;
        let mut before = documents.iter().take(index);
        let same = before.find(|other| other.file.deployment.release_order == order);
        let reason = match same {
            Some(other) => format!("{} has the place {order} too", other.name),
            None if usize::try_from(order).is_ok_and(|order| (1..=documents.len()).contains(&order)) => {
                continue;
            }
            None => format!("it is {order}, but there are {} regions", documents.len()),
        };
        Finder::new(document, findings).find(Rule::ReleaseOrder, "deployment.releaseOrder", reason, REMEDY);
    }
}
