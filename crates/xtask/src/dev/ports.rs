//! Ports that stay the same from start to start, as far as other programs let them.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use crate::run::{Failure, Outcome, note};

/// How many ports, from its first one on, a listener may take. The first ports lie at least as far apart.
pub(crate) const SPAN: u16 = 20;

/// The chosen port of each listener, by name.
pub(crate) type Ports = BTreeMap<String, u16>;

/// Chooses a free port for each `(name, first port)`: the one of the last start, else the first free one. Says so where it
/// is another than before.
pub(crate) fn choose(file: &Path, wanted: &[(String, u16)]) -> Outcome<Ports> {
    let before: Ports = match fs::read(file) {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
        Err(_) => Ports::new(),
    };
    let mut chosen = Ports::new();
    for (name, first) in wanted {
        let last = before.get(name).copied();
        let usual = last.unwrap_or(*first);
        let port = std::iter::once(usual)
            .chain(*first..first.saturating_add(SPAN))
            .find(|port| is_free(*port))
            .ok_or_else(|| {
                let until = first.saturating_add(SPAN - 1);
                Failure(format!("no port from {first} to {until} is free for {name}"))
            })?;
        if port != usual {
            note(&format!(
                "port {usual} is in use by another program; {name} takes {port}"
            ));
        }
        chosen.insert(name.clone(), port);
    }
    fs::write(file, serde_json::to_vec_pretty(&chosen)?)?;
    Ok(chosen)
}

/// As many ports as wanted that nobody uses now.
pub(crate) fn ephemeral(count: usize) -> Outcome<Vec<u16>> {
    // All are held until the last is found, so that no two are the same.
    let listeners: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<Result<_, _>>()?;
    let ports = listeners.iter().map(|listener| Ok(listener.local_addr()?.port()));
    ports.collect()
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_replaced_and_the_choice_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ports.json");
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let first = taken.local_addr().unwrap().port();
        let wanted = [("desk".to_owned(), first)];
        let port = choose(&file, &wanted).unwrap()["desk"];
        assert!(port > first && port < first + SPAN);
        drop(taken);
        assert_eq!(
            choose(&file, &wanted).unwrap()["desk"],
            port,
            "the URL stays the same"
        );
    }

    #[test]
    fn ephemeral_ports_differ() {
        let ports = ephemeral(8).unwrap();
        assert_eq!(std::collections::BTreeSet::from_iter(&ports).len(), 8);
    }
}
