//! Regions' files, found and read; what is made from them, written.

use std::fs;
use std::path::{Path, PathBuf};

use domicile_region::{Findings, RegionFile, Source, check_alone};

use crate::cli::Failure;

/// The public list of regions lies beside their files.
const DIRECTORY: &str = "directory.yaml";

/// A region's file: by its id in the folder, or by its own path.
pub(super) fn path_of(region: &str, folder: &Path) -> PathBuf {
    let is_yaml = Path::new(region).extension().is_some_and(|it| it == "yaml");
    if region.contains('/') || is_yaml {
        PathBuf::from(region)
    } else {
        folder.join(format!("{region}.yaml"))
    }
}

pub(super) fn text(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", path.display()).into())
}

/// A region's file that is right by itself. Nothing is made from any other.
pub(super) fn read(path: &Path) -> Result<RegionFile, Failure> {
    let source = Source {
        name: path.display().to_string(),
        text: text(path)?,
    };
    match check_alone(&source) {
        Ok(document) => Ok(document.file),
        Err(Findings(findings)) => {
            let mut text = format!(
                "{} is not right by itself (`domicile region check`):",
                source.name
            );
            for finding in findings {
                text.push_str("\n  ");
                text.push_str(&finding.to_string());
            }
            Err(text.into())
        }
    }
}

/// The files of all regions in a folder, by name.
pub(super) fn all(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |error| format!("{} cannot be read: {error}", folder.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let is_yaml = path.extension().is_some_and(|extension| extension == "yaml");
        if is_yaml && path.file_name().is_some_and(|name| name != DIRECTORY) {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(format!("{} holds no region's file", folder.display()).into());
    }
    paths.sort();
    Ok(paths)
}

pub(super) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error| format!("{} cannot be written: {error}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    Ok(fs::write(path, text).map_err(failed)?)
}
