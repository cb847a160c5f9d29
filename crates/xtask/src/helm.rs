//! `cargo xtask test --helm`: the chart, rendered by a real helm for every region and every scenario. Each property is one
//! check over all that is rendered, and each check must find what it is shown broken, or it counts for nothing.

mod case;
mod object;
mod property;
mod refusals;
mod tools;
mod valid;

use crate::run::{Failure, Outcome, note};
use case::Case;
use tools::Tools;

/// Renders, checks, and says every fault.
pub(crate) fn run() -> Outcome {
    let tools = Tools::install()?;
    let cases = case::all(&tools)?;
    tools.lint(&cases)?;
    let mut faults = refusals::check(&tools)?;
    faults.extend(valid::check(&tools, &cases)?);
    let mut checks = 0usize;
    for property in property::ALL {
        for case in &cases {
            let found = (property.check)(case);
            faults.extend(found.into_iter().map(|fault| told(case, property.name, &fault)));
            checks += 1;
        }
        faults.extend(unbroken(property, &cases));
    }
    note(&format!(
        "{} renders of the chart, {} properties, {checks} checks",
        cases.len(),
        property::ALL.len()
    ));
    for fault in &faults {
        eprintln!("{fault}");
    }
    match faults.len() {
        0 => Ok(()),
        1 => Err(Failure("1 fault of the Helm chart".to_owned())),
        count => Err(Failure(format!("{count} faults of the Helm chart"))),
    }
}

fn told(case: &Case, property: &str, fault: &str) -> String {
    format!("{}: {property}: {fault}", case.name)
}

/// The ways of breaking a property that its check does not find, or that break nothing.
fn unbroken(property: &property::Property, cases: &[Case]) -> Vec<String> {
    let mut faults = Vec::new();
    for (index, breaks) in property.broken.iter().enumerate() {
        let mut tried = 0usize;
        for case in cases {
            let mut broken = case.clone();
            if !breaks(&mut broken) {
                continue;
            }
            tried += 1;
            if (property.check)(&broken).is_empty() {
                let name = property.name;
                faults.push(format!("{}: {name}: its break {index} is not found", case.name));
            }
        }
        if tried == 0 {
            faults.push(format!(
                "{}: no render can be broken in its way {index}",
                property.name
            ));
        }
    }
    if property.broken.is_empty() {
        faults.push(format!("{}: nothing shows that it can fail", property.name));
    }
    faults
}
