//! The tests of what is called at AWS, against moto, which plays S3 and KMS on this machine.

use std::process::Command;

use crate::dev::http::Http;
use crate::dev::ports;
use crate::dev::service::{Plan, folder};
use crate::dev::stack::at;
use crate::run::{Outcome, note, shown};
use crate::{python, tree};

/// The features that compile these tests.
pub(crate) const FEATURES: &str = "domicile-objects/moto,domicile-vault/moto";

/// Where the tests find the server, by the service that they call.
const ENDPOINT_VARIABLES: [&str; 2] = ["DOMICILE_TEST_S3_ENDPOINT", "DOMICILE_TEST_KMS_ENDPOINT"];

/// moto's own page, which answers once it listens.
const PAGE: &str = "/moto-api/";

/// Installs moto beside the tree, starts it on a free port, runs the tests that need it, and stops it.
pub(crate) fn run(tests: &mut Command) -> Outcome {
    let program = python::install(
        "moto",
        "tests/interop/requirements.txt",
        "the tests against moto (--interop)",
    )?
    .join("bin/moto_server");
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
