use super::RegionFile;

#[test]
fn the_samples_are_read_and_what_is_unknown_is_refused() {
    for text in [
        include_str!("../../../../regions/eu.yaml"),
        include_str!("../../../../regions/uk.yaml"),
        include_str!("../../../../regions/us.yaml"),
    ] {
        let file: RegionFile = serde_saphyr::from_str(text).unwrap();
        assert!(file.zoom.apps.with_chat().is_some());
        let misspelt = text.replace("zoomClusters:", "zoomCluster:");
        assert!(serde_saphyr::from_str::<RegionFile>(&misspelt).is_err());
    }
}
