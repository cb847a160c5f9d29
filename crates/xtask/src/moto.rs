//! The tests of what is called at AWS, against moto, which plays S3 and KMS on this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use domicile_localpg::binaries::program_exists;

use crate::dev::http::Http;
use crate::dev::ports;
use crate::dev::service::{Plan, folder};
use crate::dev::stack::at;
use crate::run::{Failure, Outcome, note, shown};
use crate::tree;

/// The features that compile these tests.
pub(crate) const FEATURES: &str = "domicile-objects/moto,domicile-vault/moto";

/// Where the tests find the server, by the service that they call.
const ENDPOINT_VARIABLES: [&str; 2] = ["DOMICILE_TEST_S3_ENDPOINT", "DOMICILE_TEST_KMS_ENDPOINT"];

/// moto's own page, which answers once it listens.
const PAGE: &str = "/moto-api/";

/// What the pinned packages need.
const PYTHON: &str = "the tests against moto need Python 3.11 or newer with its modules venv and ensurepip (on Debian: \
                      `apt-get install python3-venv`); install it, or leave --interop out";

/// Installs moto beside the tree, starts it on a free port, runs the tests that need it, and stops it.
pub(crate) fn run(tests: &mut Command) -> Outcome {
    let program = install()?.join("bin/moto_server");
    let port = ports::ephemeral(1)?.first().copied().unwrap_or_default();
    let url = at(port, "/");
    let plan = Plan {
        name: "moto".to_owned(),
        program,
        args: ["-H", "127.0.0.1", "-p", &port.to_string()]
            .map(str::to_owned)
            .to_vec(),
        env: Vec::new(),
        logs: folder(tree::private().join("logs"))?,
    };
    for variable in ENDPOINT_VARIABLES {
        tests.env(variable, url.as_str());
    }
    // Whatever ends this program ends moto too: the service has a watcher.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut moto = plan.start()?;
        let outcome = match moto.ready(&Http::new(), &at(port, PAGE)).await {
            Ok(()) => tokio::task::block_in_place(|| shown(tests)),
            Err(failure) => Err(failure),
        };
        let tail = moto.tail();
        moto.stop().await?;
        outcome.inspect_err(|_| note(&tail))
    })
}

/// Installs exactly what the list of requirements names, beside the tree and not in it; once per list.
fn install() -> Outcome<PathBuf> {
    let wanted = tree::root().join("tests/interop/requirements.txt");
    let place = tree::private().join("moto");
    let installed = place.join("installed-requirements.txt");
    let list = fs::read(&wanted)?;
    if fs::read(&installed).is_ok_and(|present| present == list) {
        return Ok(place);
    }
    if !program_exists("python3") || !has_venv() {
        return Err(Failure(PYTHON.to_owned()));
    }
    note("installing moto with pip");
    shown(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&place),
    )?;
    pip(&place, &wanted)?;
    fs::write(installed, list)?;
    Ok(place)
}

/// Wheels alone, so that no package runs a script of its own here.
fn pip(place: &Path, list: &Path) -> Outcome {
    let mut pip = Command::new(place.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(["--no-deps", "--only-binary", ":all:", "--requirement"])
        .arg(list);
    shown(&mut pip)
}

fn has_venv() -> bool {
    let question = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))";
    Command::new("python3")
        .args(["-c", question])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
