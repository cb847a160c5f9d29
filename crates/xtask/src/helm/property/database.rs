//! The database that the chart makes.

use serde_json::{Value, json};

use super::super::case::Case;
use super::super::object::{at, kind, title};

pub(super) fn cluster(case: &Case) -> Vec<String> {
    let postgres = &case.file.chart.postgres;
    let class = postgres.storage_class.as_ref().map(|it| json!(it));
    let volume = |size: &str| match &class {
        Some(class) => json!({"size": size, "storageClass": class}),
        None => json!({"size": size}),
    };
    let wanted = [
        ("/spec/instances", json!(postgres.instances)),
        ("/spec/storage", volume(&postgres.storage_size)),
        (
            "/spec/walStorage",
            postgres.wal_storage_size.as_deref().map_or(Value::Null, volume),
        ),
        // Without it, what Zoom was told is kept may be on one disk alone.
        (
            "/spec/postgresql/synchronous",
            if postgres.instances >= 3 {
                json!({"method": "any", "number": 1})
            } else {
                Value::Null
            },
        ),
    ];
    let mut faults = Vec::new();
    for object in case.objects.iter().filter(|it| kind(it) == "Cluster") {
        for (place, value) in &wanted {
            if at(object, place) != value {
                faults.push(format!("{}: {place} is not what the file says", title(object)));
            }
        }
    }
    faults
}

fn set(case: &mut Case, member: &str, to: &Value) -> bool {
    case.change(|object| {
        kind(object) == "Cluster"
            && object
                .pointer_mut("/spec")
                .and_then(Value::as_object_mut)
                .is_some_and(|spec| {
                    spec.insert(member.to_owned(), to.clone());
                    true
                })
    })
}

pub(super) const CLUSTER: &[fn(&mut Case) -> bool] = &[
    |case| set(case, "instances", &json!(7)),
    |case| set(case, "storage", &json!({"size": "1Gi"})),
    |case| set(case, "walStorage", &json!({"size": "1Gi"})),
    |case| {
        let weaker = json!({"synchronous": {"method": "any", "number": 0}});
        set(case, "postgresql", &weaker)
    },
];
