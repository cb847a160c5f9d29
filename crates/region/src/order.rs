//! The order in which a release reaches the regions, and how long it runs in each before it reaches the next.

use std::fmt::Write;

use serde::Serialize;

use crate::file::RegionFile;

/// A region's place in a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The region.
    pub region: String,
    /// Its name for people.
    pub name: String,
    /// The kubeconfig context of its cluster.
    pub cluster_context: String,
    /// Its namespace.
    pub namespace: String,
    /// Its file, as it was named.
    pub file: String,
    /// How long the release runs here before the next region has it; nothing comes after the last.
    pub soak_minutes: Option<u32>,
}

/// The steps of a release to these regions, the files by their names.
pub fn release_order(files: &[(String, RegionFile)]) -> Vec<Step> {
    let mut files: Vec<_> = files.iter().collect();
    files.sort_by(|(a_name, a), (b_name, b)| {
        let place = |file: &RegionFile| file.deployment.release_order;
        place(a).cmp(&place(b)).then_with(|| a_name.cmp(b_name))
    });
    let last = files.len().saturating_sub(1);
    files
        .into_iter()
        .enumerate()
        .map(|(index, (name, file))| Step {
            region: file.region.id.clone(),
            name: file.region.name.clone(),
            cluster_context: file.deployment.cluster_context.clone(),
            namespace: file.deployment.namespace.clone(),
            file: name.clone(),
            soak_minutes: (index < last).then_some(file.deployment.soak_minutes),
        })
        .collect()
}

/// The steps as a list for people, with what to type.
pub fn list(steps: &[Step]) -> String {
    let mut text = String::new();
    for (index, step) in steps.iter().enumerate() {
        let Step {
            region,
            name,
            cluster_context,
            namespace,
            file,
            soak_minutes,
        } = step;
        let helm = format!("helm --kube-context {cluster_context} -n {namespace}");
        // Writing into a String does not fail.
        let _ = writeln!(
            text,
            "{}. {region} ({name})\n   \
             {helm} upgrade --install domicile-{region} helm/domicile -f {file} --timeout 20m --wait\n   \
             {helm} test domicile-{region}",
            index + 1
        );
        if let Some(minutes) = soak_minutes {
            let _ = writeln!(
                text,
                "   Then {minutes} minutes, and on only if no alert fires there; else `helm rollback`."
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_goes_from_region_to_region_and_waits_in_between() {
        let files: Vec<_> = [
            ("regions/eu.yaml", include_str!("../../../regions/eu.yaml")),
            ("regions/uk.yaml", include_str!("../../../regions/uk.yaml")),
            ("regions/us.yaml", include_str!("../../../regions/us.yaml")),
        ]
        .into_iter()
        .map(|(name, text)| {
            (
                name.to_owned(),
                serde_saphyr::from_str::<RegionFile>(text).unwrap(),
            )
        })
        .collect();
        let steps = release_order(&files);
        let told: Vec<_> = steps
            .iter()
            .map(|it| (it.region.as_str(), it.soak_minutes))
            .collect();
        assert_eq!(told, [("us", Some(60)), ("uk", Some(60)), ("eu", None)]);
        let text = list(&steps);
        let places: Vec<_> = ["1. us", "Then 60 minutes", "2. uk", "3. eu (European Union)"]
            .into_iter()
            .map(|it| text.find(it).unwrap())
            .collect();
        assert!(places.is_sorted(), "{text}");
        assert!(text.contains("helm --kube-context example-uk -n domicile-uk test domicile-uk"));
    }
}
