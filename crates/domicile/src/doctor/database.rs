//! The database, its schema, mark and clock, and the keys whose data keys lie in it.

use chrono::TimeDelta;
use domicile_store::{Db, DbSettings, RegionMarkError, StoreError, schema_status};
use domicile_vault::{CheckError, KeyMarkError, Vault};

use super::Doctor;
use super::network::chain;
use super::report::Finding;
use crate::region::region_keys;

const REACH: &str = "database.reach";
const SCHEMA: &str = "database.schema";
const MARK: &str = "database.mark";
const CLOCK: &str = "database.clock";
const KEYS_MARK: &str = "keys.mark";
const KEYS_FIT: &str = "keys.fit";
const URL: &str = "DOMICILE_DATABASE_URL";

/// Leases run for half a minute; clocks further apart than this take jobs from those who still work at them.
const SKEW_WARNING: TimeDelta = TimeDelta::seconds(2);
const SKEW_FAULT: TimeDelta = TimeDelta::seconds(15);

pub(super) async fn examine(doctor: &Doctor) -> Vec<Finding> {
    let skipped = |why: &str| {
        [SCHEMA, MARK, CLOCK, KEYS_MARK, KEYS_FIT]
            .map(|id| Finding::skipped(id, why))
            .to_vec()
    };
    let Some(settings) = &doctor.parts.database else {
        let why = doctor.absent(URL, "it is required");
        let mut findings = vec![Finding::skipped(REACH, &why)];
        findings.extend(skipped(&why));
        return findings;
    };
    let db = match reach(settings).await {
        Ok(db) => db,
        Err(error) => {
            let text = chain(&error);
            let mut findings = vec![Finding::fault(
                REACH,
                format!("{} : {text}", settings.place()),
                cure(&text),
            )];
            findings.extend(skipped("the database cannot be reached"));
            return findings;
        }
    };
    let mut findings = vec![Finding::ok(REACH, format!("{} answers", settings.place()))];
    let (schema, usable) = schema(&db).await;
    findings.push(schema);
    if usable {
        findings.push(mark(doctor, &db).await);
    } else {
        findings.push(Finding::skipped(MARK, "the schema is not this version's"));
    }
    findings.push(clock(doctor, &db).await);
    if usable {
        findings.extend(keys(doctor, &db).await);
    } else {
        let why = "the schema is not this version's";
        findings.extend([KEYS_MARK, KEYS_FIT].map(|id| Finding::skipped(id, why)));
    }
    findings
}

async fn reach(settings: &DbSettings) -> Result<Db, StoreError> {
    let db = Db::new(settings.clone())?;
    db.time().await?;
    Ok(db)
}

/// What to do about PostgreSQL's refusal, which is known by its text alone.
fn cure(text: &str) -> String {
    let has = |part: &str| text.contains(part);
    if has("password authentication failed") {
        format!("user or password in {URL} is wrong: take them from the database's Secret anew")
    } else if has("no pg_hba.conf entry") {
        "the server lets this user in from nowhere here: allow the cluster's addresses in pg_hba.conf"
            .to_owned()
    } else if has("role") && has("does not exist") {
        format!("the server knows no such user: correct {URL}, or create the role")
    } else if has("does not exist") {
        format!("the server has no such database: correct {URL}, or create the database")
    } else if has("not currently accepting connections") {
        "the database lets nobody in: it is being restored or was closed; ALTER DATABASE ... ALLOW_CONNECTIONS true".to_owned()
    } else if has("certificate") {
        format!(
            "the server's certificate is not accepted: give its authority with sslrootcert= in {URL}, or renew it"
        )
    } else if has("too many") {
        "all connections of the server are taken: raise max_connections, or run fewer processes".to_owned()
    } else if has("the database system is") {
        "the server is starting or stopping: wait, then look at its log".to_owned()
    } else {
        format!("start the database, correct host and port in {URL}, or open the network policy for it")
    }
}

async fn schema(db: &Db) -> (Finding, bool) {
    match schema_status(db).await {
        Err(error) => {
            let remedy = "the user may not read the schema: make it the owner of the database's tables";
            (Finding::fault(SCHEMA, chain(&error), remedy), false)
        }
        Ok(status) if status.needs_newer_code => {
            let found = format!(
                "the database has migrations that need newer code: {}",
                status.unknown.join(", ")
            );
            let remedy = "roll out the version that applied them; this one is too old for this database";
            (Finding::fault(SCHEMA, found, remedy), false)
        }
        Ok(status) if !status.missing.is_empty() => {
            let found = format!("the database lacks the migrations {}", status.missing.join(", "));
            (
                Finding::fault(SCHEMA, found, "run `domicile migrate` of this version"),
                false,
            )
        }
        Ok(status) if !status.unknown.is_empty() => {
            let found = format!(
                "the database has migrations of a later version ({}), on which this version runs too",
                status.unknown.join(", ")
            );
            let remedy = "finish the roll-out, or leave it so after a roll-back: nothing has to be undone";
            (Finding::warning(SCHEMA, found, remedy), true)
        }
        Ok(_) => (Finding::ok(SCHEMA, "it is this version's"), true),
    }
}

async fn mark(doctor: &Doctor, db: &Db) -> Finding {
    let Some(region) = &doctor.parts.region else {
        return Finding::skipped(MARK, doctor.absent("DOMICILE_REGION_ID", "it is required"));
    };
    match db.region_mark(&region.id).await {
        Ok(true) => Finding::ok(MARK, format!("it is the region {}'s", region.id)),
        Ok(false) => Finding::ok(MARK, "it has no mark yet; the first start leaves one"),
        Err(error @ RegionMarkError::Foreign { .. }) => Finding::fault(
            MARK,
            error.to_string(),
            format!(
                "give {URL} of this region's own database, or correct DOMICILE_REGION_ID; never change a mark"
            ),
        ),
        Err(error) => Finding::fault(MARK, chain(&error), "look at the database's log"),
    }
}

async fn clock(doctor: &Doctor, db: &Db) -> Finding {
    let before = doctor.ids.clock().now();
    match db.time().await {
        Err(error) => Finding::fault(CLOCK, chain(&error), "look at the database's log"),
        Ok(theirs) => {
            let after = doctor.ids.clock().now();
            skew(CLOCK, "the database's", before + (after - before) / 2 - theirs)
        }
    }
}

/// Judges how far our clock is ahead of another.
pub(super) fn skew(id: &'static str, whose: &str, ahead: TimeDelta) -> Finding {
    let apart = ahead.abs();
    if apart <= SKEW_WARNING {
        return Finding::ok(
            id,
            format!("ours and {whose} agree within {} s", SKEW_WARNING.num_seconds()),
        );
    }
    let direction = if ahead > TimeDelta::zero() {
        "ahead of"
    } else {
        "behind"
    };
    let found = format!("our clock is {} s {direction} {whose}", apart.num_seconds());
    let remedy = "set the clocks by NTP on every node (chronyc tracking); leases, tokens and signatures depend on them";
    if apart <= SKEW_FAULT {
        Finding::warning(id, found, remedy)
    } else {
        Finding::fault(id, found, remedy)
    }
}

async fn keys(doctor: &Doctor, db: &Db) -> Vec<Finding> {
    const KEYS: &str = "DOMICILE_VAULT_KEYS";
    let skipped = |why: String| {
        [KEYS_MARK, KEYS_FIT]
            .map(|id| Finding::skipped(id, why.clone()))
            .to_vec()
    };
    let parts = &doctor.parts;
    let Some(vault) = &parts.vault else {
        return skipped(doctor.absent(KEYS, "it is required"));
    };
    let Some(objects) = &parts.objects else {
        return skipped(doctor.absent("DOMICILE_OBJECTS_URL", "it is required"));
    };
    let Some(region) = &parts.region else {
        return skipped(doctor.absent("DOMICILE_REGION_ID", "it is required"));
    };
    let egress = match doctor.egress() {
        Ok(egress) => egress,
        Err(why) => return skipped(why),
    };
    let keys = match region_keys(vault, objects, &egress) {
        Ok(keys) => keys,
        Err(error) => {
            let remedy = format!("correct {KEYS}: each entry is id:base64 of 32 bytes, or id:aws-kms:ARN");
            return vec![
                Finding::skipped(KEYS_MARK, "the keys cannot be used"),
                Finding::fault(KEYS_FIT, chain(&error), remedy),
            ];
        }
    };
    let vault = Vault::new(db.clone(), doctor.ids.clone(), keys);
    let mark = match vault.check_marks(&region.id).await {
        Ok(()) => Finding::ok(
            KEYS_MARK,
            format!("no key is another region's than {}'s", region.id),
        ),
        Err(KeyMarkError::Store(error)) => {
            Finding::fault(KEYS_MARK, chain(&error), "look at the database's log")
        }
        Err(error) => Finding::fault(
            KEYS_MARK,
            error.to_string(),
            format!("give {KEYS} of this region's own keys, or correct DOMICILE_REGION_ID"),
        ),
    };
    let fit = match vault.check().await {
        Ok(()) => Finding::ok(KEYS_FIT, "they open the data keys in the database"),
        Err(CheckError::Store(error)) => {
            Finding::fault(KEYS_FIT, chain(&error), "look at the database's log")
        }
        Err(error) => Finding::fault(
            KEYS_FIT,
            error.to_string(),
            format!(
                "put back into {KEYS} the keys with which this database was sealed; nothing opens without them"
            ),
        ),
    };
    vec![mark, fit]
}
