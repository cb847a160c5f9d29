//! The binary: see `domicile --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    domicile::cli::main()
}
