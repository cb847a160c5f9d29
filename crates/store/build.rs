//! Cargo does not see which files `embed_migrations!` reads.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
}
