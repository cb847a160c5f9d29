//! helm itself, and the schemas of Kubernetes, each at one version.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use domicile_localpg::binaries::program_exists;

use super::case::Case;
use crate::python;
use crate::run::{Failure, Outcome, line, shown};
use crate::tree;

/// The folder of the chart.
pub(super) const CHART: &str = "helm/domicile";

/// The oldest Kubernetes that the chart is for, and the newest that is tested.
pub(super) const VERSIONS: [&str; 2] = ["1.31", "1.35"];

pub(super) struct Tools {
    helm: PathBuf,
    python: PathBuf,
    /// An empty home, so that no setting of this machine changes what helm does.
    home: tempfile::TempDir,
}

impl Tools {
    pub(super) fn install() -> Outcome<Self> {
        let place = python::install(
            "helm",
            "tests/helm/requirements.txt",
            "the checks of the Helm chart (--helm)",
        )?;
        let python = place.join("bin/python");
        let helm = place.join("bin/helm");
        let carried = cfg!(all(target_os = "linux", target_arch = "x86_64"));
        if carried && !helm.exists() {
            let script = tree::root().join("tests/helm/unpack.py");
            shown(Command::new(&python).arg(script).arg(&helm))?;
        } else if !carried && !program_exists("helm") {
            return Err(Failure(
                "install helm 4: it is carried along for Linux on x86-64 alone".to_owned(),
            ));
        }
        Ok(Self {
            helm: if carried { helm } else { PathBuf::from("helm") },
            python,
            home: tempfile::tempdir()?,
        })
    }

    fn helm(&self, args: &[&str], values: &[PathBuf]) -> Outcome<Output> {
        let mut command = Command::new(&self.helm);
        command.current_dir(tree::root()).args(args);
        for file in values {
            command.arg("-f").arg(file);
        }
        for folder in ["HOME", "HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(folder, self.home.path());
        }
        command
            .env("KUBECONFIG", self.home.path().join("none"))
            .output()
            .map_err(|error| Failure(format!("`{}`: {error}", line(&command))))
    }

    /// What helm renders for these values, or what it says against them.
    pub(super) fn template(
        &self,
        release: &str,
        values: &[PathBuf],
        upgrade: bool,
    ) -> Outcome<Result<String, String>> {
        let newest = VERSIONS.last().copied().unwrap_or_default();
        let mut args = vec!["template", release, CHART, "--kube-version", newest];
        if upgrade {
            args.push("--is-upgrade");
        }
        let output = self.helm(&args, values)?;
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(Failure::from);
        Ok(if output.status.success() {
            Ok(text(output.stdout)?)
        } else {
            Err(text(output.stderr)?)
        })
    }

    /// `helm lint --strict` for every set of values.
    pub(super) fn lint(&self, cases: &[Case]) -> Outcome {
        for case in cases.iter().filter(|case| !case.upgrade) {
            let output = self.helm(&["lint", "--strict", CHART], &case.values)?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stdout).into_owned();
                return Err(Failure(format!("{}: helm lint: {said}", case.name)));
            }
        }
        Ok(())
    }

    /// Holds objects against Kubernetes' schemas: every fault, one a line.
    pub(super) fn validate(&self, objects: &Path) -> Outcome<Vec<String>> {
        let output = Command::new(&self.python)
            .arg(tree::root().join("tests/helm/validate.py"))
            .arg(objects)
            .args(VERSIONS)
            .output()?;
        let faults: Vec<_> = String::from_utf8(output.stdout)?
            .lines()
            .map(str::to_owned)
            .collect();
        if output.status.success() == faults.is_empty() {
            Ok(faults)
        } else {
            Err(Failure(String::from_utf8_lossy(&output.stderr).into_owned()))
        }
    }
}

/// The files of a folder with this end, in order.
pub(super) fn files(folder: &str, end: &str) -> Outcome<Vec<PathBuf>> {
    let folder = tree::root().join(folder);
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut files: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|file| file.extension().is_some_and(|it| it == end));
    files.sort();
    Ok(files)
}
