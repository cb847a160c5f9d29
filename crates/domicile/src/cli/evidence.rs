//! `domicile evidence`: what is stored where, and whom the region's processes contacted.

use std::fs;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use domicile_custody::evidence::{self, PublicKey, Signed};
use domicile_kernel::Timestamp;

use super::{Failure, in_runtime};
use crate::outside;
use crate::region::Region;
use crate::settings::{Environment, Settings};

const JSON: &str = "evidence.json";
const PAGE: &str = "evidence.html";

#[derive(Args, Clone)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct EvidenceArgs {
    #[command(subcommand)]
    command: Option<EvidenceCommand>,
    #[command(flatten)]
    gather: Option<GatherArgs>,
}

#[derive(Args, Clone)]
struct GatherArgs {
    /// The beginning of the span, such as 2026-11-01T00:00:00Z; contacts are counted in whole hours
    #[arg(long)]
    from: Timestamp,
    /// Its end
    #[arg(long)]
    to: Timestamp,
    /// Write `evidence.json` and `evidence.html` into this folder; without it the JSON is printed
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Subcommand, Clone)]
enum EvidenceCommand {
    /// Say whether a document is as the region signed it; needs neither the region nor its settings
    Verify {
        /// The JSON document
        file: PathBuf,
        /// The key that the region published, as `domicile evidence public-key` prints it
        #[arg(long)]
        public_key: String,
    },
    /// Print the public key that verifies this region's evidence
    PublicKey,
}

pub(super) fn run(environment: Environment, arguments: EvidenceArgs) -> Result<(), Failure> {
    match (arguments.command, arguments.gather) {
        (Some(EvidenceCommand::Verify { file, public_key }), _) => verify(&file, &public_key),
        (Some(EvidenceCommand::PublicKey), _) => {
            let settings = Settings::from_environment(&environment)?;
            let key = settings.evidence_key.ok_or(NO_KEY)?;
            Ok(writeln!(stdout(), "{}", key.public_key())?)
        }
        (None, Some(gather)) => in_runtime(gather_and_sign(environment, gather)),
        (None, None) => Err("say from when to when: domicile evidence --from <time> --to <time>".into()),
    }
}

const NO_KEY: &str =
    "DOMICILE_EVIDENCE_KEY is not set, so nothing can be signed; make one with `openssl rand -base64 32`";

async fn gather_and_sign(environment: Environment, arguments: GatherArgs) -> Result<(), Failure> {
    if arguments.from >= arguments.to {
        return Err("the span ends before it begins: --from must be earlier than --to".into());
    }
    let settings = Settings::from_environment(&environment)?;
    let region = Region::build(settings, outside::ids())?;
    let key = region.settings.evidence_key.as_ref().ok_or(NO_KEY)?;
    region.check().await?;
    let gathered_at = region.ids.clock().now();
    let evidence = evidence::gather(
        &region.db,
        &region.vault,
        region.deployment(),
        (arguments.from, arguments.to),
        gathered_at,
    )
    .await?;
    let signed = key.sign(&evidence)?;
    let json = format!("{}\n", serde_json::to_string_pretty(&signed)?);
    match arguments.out {
        None => stdout().write_all(json.as_bytes())?,
        Some(folder) => {
            fs::create_dir_all(&folder)?;
            fs::write(folder.join(JSON), json)?;
            let page = evidence::page(&evidence, &signed.signature);
            fs::write(folder.join(PAGE), page.into_string())?;
            writeln!(stdout(), "{}", folder.join(JSON).display())?;
            writeln!(stdout(), "{}", folder.join(PAGE).display())?;
        }
    }
    Ok(())
}

fn verify(file: &Path, public_key: &str) -> Result<(), Failure> {
    let key: PublicKey = public_key
        .parse()
        .map_err(|_| "the public key is not 32 bytes in base64")?;
    let evidence = Signed::from_json(&fs::read(file)?)?.verify(&key)?;
    Ok(writeln!(
        stdout(),
        "Good: signed by the key {} for the region {} ({}), from {} to {}.",
        key.id(),
        evidence.deployment.region_id,
        evidence.deployment.region_name,
        evidence.from.to_rfc3339(),
        evidence.to.to_rfc3339(),
    )?)
}
