//! The object storage: whose it is, and whether it takes, keeps and gives up an object.

use bytes::Bytes;
use domicile_kernel::random::random_bytes;
use domicile_objects::{ObjectKey, ObjectStorage, ObjectsError};
use futures_util::StreamExt;

use super::network::chain;
use super::report::Finding;
use super::{Doctor, client};

const MARK: &str = "storage.mark";
const WRITE: &str = "storage.write";
const URL: &str = "DOMICILE_OBJECTS_URL";
const CONTENT: &[u8] = b"domicile doctor\n";

pub(super) async fn examine(doctor: &Doctor) -> Vec<Finding> {
    let both = |why: &str| [MARK, WRITE].map(|id| Finding::skipped(id, why)).to_vec();
    let Some(objects) = &doctor.parts.objects else {
        return both(&doctor.absent(URL, "it is required"));
    };
    let egress = match doctor.egress() {
        Ok(egress) => egress,
        Err(why) => return both(&why),
    };
    let storage = match ObjectStorage::open(&objects.url, &objects.s3, client(&egress)) {
        Ok(storage) => storage,
        Err(error) => {
            return vec![
                Finding::skipped(MARK, "the storage cannot be opened"),
                Finding::fault(WRITE, chain(&error), cure(&error)),
            ];
        }
    };
    let mark = mark(doctor, &storage).await;
    // Another region's storage is not written to.
    let write = if mark.severity == super::Severity::Fault {
        Finding::skipped(WRITE, "whose storage it is could not be made sure of")
    } else {
        write(doctor, &storage).await
    };
    vec![mark, write]
}

async fn mark(doctor: &Doctor, storage: &ObjectStorage) -> Finding {
    let Some(region) = &doctor.parts.region else {
        return Finding::skipped(MARK, doctor.absent("DOMICILE_REGION_ID", "it is required"));
    };
    match storage.clone().for_region(region.id.clone()).region_mark().await {
        Ok(true) => Finding::ok(MARK, format!("it is the region {}'s", region.id)),
        Ok(false) => Finding::ok(MARK, "it has no mark yet; the first start leaves one"),
        Err(error @ ObjectsError::ForeignRegion { .. }) => Finding::fault(
            MARK,
            error.to_string(),
            format!(
                "give {URL} of this region's own storage, or correct DOMICILE_REGION_ID; never change a mark"
            ),
        ),
        Err(error) => Finding::fault(MARK, chain(&error), cure(&error)),
    }
}

async fn write(doctor: &Doctor, storage: &ObjectStorage) -> Finding {
    match there_and_back(doctor, storage).await {
        Ok(()) => Finding::ok(WRITE, "an object was written, read back and deleted"),
        Err(error) => Finding::fault(WRITE, chain(&error), cure(&error)),
    }
}

async fn there_and_back(doctor: &Doctor, storage: &ObjectStorage) -> Result<(), ObjectsError> {
    let name = hex::encode(random_bytes::<8>(doctor.ids.rng().as_ref()));
    let key = ObjectKey::from_segments(["domicile-doctor".to_owned(), name])?;
    let mut upload = storage.begin(&key);
    if let Err(error) = upload.write(Bytes::from_static(CONTENT)).await {
        upload.abort().await;
        return Err(error);
    }
    upload.finish().await?;
    let read = read(storage, &key).await;
    let deleted = storage.delete(&key).await;
    let same = read? == CONTENT;
    deleted?;
    if same && storage.head(&key).await?.is_none() {
        Ok(())
    } else {
        Err(ObjectsError::Corrupt)
    }
}

async fn read(storage: &ObjectStorage, key: &ObjectKey) -> Result<Vec<u8>, ObjectsError> {
    let mut pieces = storage.read(key, None);
    let mut content = Vec::new();
    while let Some(piece) = pieces.next().await {
        content.extend_from_slice(&piece?);
    }
    Ok(content)
}

fn cure(error: &ObjectsError) -> String {
    let text = chain(error).to_ascii_lowercase();
    let has = |part: &str| text.contains(part);
    match error {
        ObjectsError::Folder { .. } => {
            format!("make the folder that {URL} names, or mount its volume, and let this user write to it")
        }
        ObjectsError::Denied { .. } => format!(
            "the credentials may not do this: allow GetObject, PutObject, DeleteObject and ListBucket below {URL}"
        ),
        ObjectsError::Corrupt => {
            "the storage does not keep what it takes, or does not delete: it is no storage for recordings"
                .to_owned()
        }
        _ if has("permission denied") || has("read-only") => {
            format!(
                "the folder of {URL} does not let this user write: correct its owner, or mount it writable"
            )
        }
        _ if has("nosuchbucket") => format!("the bucket does not exist: create it, or correct {URL}"),
        _ if has("no space") || has("quota") => "the storage is full: enlarge it".to_owned(),
        _ => format!(
            "start the storage, correct {URL} and AWS_ENDPOINT_URL, or open the network policy for it"
        ),
    }
}
