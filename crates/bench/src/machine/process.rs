//! What processes cost, as Linux tells it in `/proc` (proc(5)).

use std::fs;
use std::time::Duration;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::unistd::{SysconfVar, sysconf};
use serde::Serialize;

/// What a process, or a family of them, has used so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Usage {
    /// Processor time, user and system.
    pub cpu_seconds: f64,
    /// Memory in use now, in kilobytes.
    pub rss_kb: u64,
    /// The most that was in use since the peak was last reset, in kilobytes.
    pub peak_rss_kb: u64,
}

/// What was used between two looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Processor time, user and system.
    pub cpu_seconds: f64,
}

impl Usage {
    /// What was used since then.
    pub fn since(&self, before: &Self) -> Cost {
        Cost {
            cpu_seconds: self.cpu_seconds - before.cpu_seconds,
        }
    }
}

/// The fields of `/proc/<pid>/stat` that are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    parent: i32,
    own_ticks: u64,
    children_ticks: u64,
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The name stands in parentheses and may hold anything, parentheses too.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    // The first of these is field 3.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        own_ticks: field(14)? + field(15)?,
        children_ticks: field(16)? + field(17)?,
    })
}

fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The number of kilobytes in a line of `/proc/<pid>/status`.
fn parse_status(text: &str, name: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

fn ticks_per_second() -> f64 {
    sysconf(SysconfVar::CLK_TCK)
        .ok()
        .flatten()
        .map_or(100.0, |ticks| ticks as f64)
}

/// True while the process exists and is no zombie.
pub(super) fn is_alive(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|text| {
        !text
            .rsplit_once(')')
            .is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'))
    })
}

/// What one process has used.
pub(super) fn usage(pid: i32) -> Usage {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    Usage {
        cpu_seconds: stat(pid).map_or(0.0, |stat| stat.own_ticks as f64 / ticks_per_second()),
        rss_kb: parse_status(&status, "VmRSS").unwrap_or(0),
        peak_rss_kb: parse_status(&status, "VmHWM").unwrap_or(0),
    }
}

/// The memory of a process in which a page that several share is divided among them, in kilobytes.
pub(super) fn pss_kb(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    parse_status(&text, "Pss").unwrap_or(0)
}

/// Begins a new peak of the process's memory.
pub(super) fn reset_peak(pid: i32) {
    // Where the kernel does not allow it, the peak is the one since the start.
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

/// What a process and its children have used, those that have ended among them: their parent holds their time.
pub(super) fn family_cpu_seconds(parent: i32) -> f64 {
    let Some(own) = stat(parent) else { return 0.0 };
    let living: u64 = children(parent)
        .into_iter()
        .filter_map(stat)
        .map(|stat| stat.own_ticks)
        .sum();
    (own.own_ticks + own.children_ticks + living) as f64 / ticks_per_second()
}

/// The living children of a process.
pub(super) fn children(parent: i32) -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| stat(*pid).is_some_and(|stat| stat.parent == parent))
        .collect()
}

/// What this process has used: the load generator's own share.
pub fn cpu_seconds_of_self() -> f64 {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else {
        return 0.0;
    };
    let seconds = |time: nix::sys::time::TimeVal| {
        let whole = Duration::from_secs(u64::try_from(time.tv_sec()).unwrap_or(0));
        (whole + Duration::from_micros(u64::try_from(time.tv_usec()).unwrap_or(0))).as_secs_f64()
    };
    seconds(usage.user_time()) + seconds(usage.system_time())
}

/// Lets this process and its children have as many connections as the system allows.
pub fn raise_descriptor_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        // With the old limit it still runs; a run that lacks descriptors says so.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_a_name_with_spaces_and_parentheses() {
        let text = "42 (postgres: (x) y) S 7 42 42 0 -1 4194304 9 8 0 0 150 50 30 20 20 0 1 0 99 1000 200 18446744073709551615";
        assert_eq!(
            parse_stat(text),
            Some(Stat {
                parent: 7,
                own_ticks: 200,
                children_ticks: 50
            })
        );
        assert_eq!(parse_stat("42 (x"), None);
        assert_eq!(parse_stat("42 (x) S 1"), None);
    }

    #[test]
    fn memory_is_read_in_kilobytes() {
        let text = "Name:\tx\nVmPeak:\t  999 kB\nVmHWM:\t   4321 kB\nVmRSS:\t   1234 kB\n";
        assert_eq!(parse_status(text, "VmRSS"), Some(1234));
        assert_eq!(parse_status(text, "VmHWM"), Some(4321));
        assert_eq!(parse_status(text, "VmSwap"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_memory_and_is_its_parents_child() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let own = usage(pid);
        assert!(own.rss_kb > 0 && own.peak_rss_kb >= own.rss_kb);
        assert!(children(stat(pid).unwrap().parent).contains(&pid));
        assert!(is_alive(pid));
    }
}
