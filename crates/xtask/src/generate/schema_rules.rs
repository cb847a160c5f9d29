//! Rules over the live schema, checked on a throw-away cluster.

use domicile_localpg::Cluster;

use super::catalog::{self, Tables};
use crate::run::{Failure, note};
use crate::tree;

/// Tables and columns without a sentence that says what they are.
fn undocumented(tables: &Tables) -> Vec<String> {
    let mut found = Vec::new();
    for (name, table) in tables {
        if table.comment.is_none() {
            found.push(name.clone());
        }
        let columns = table.columns.iter().filter(|column| column.comment.is_none());
        found.extend(columns.map(|column| format!("{name}.{}", column.name)));
    }
    found
}

#[test]
fn every_table_and_column_says_what_it_is_and_every_migration_can_be_undone() {
    let cluster = Cluster::scratch(tree::tools(), note).unwrap();
    let result = catalog::block_on(async {
        let client = catalog::connect(&cluster.url("postgres")).await?;
        let mut states = vec![catalog::read(&client).await?];
        let folders = tree::migrations()?;
        for folder in &folders {
            catalog::apply(&client, &folder.join("up.sql")).await?;
            states.push(catalog::read(&client).await?);
        }
        let missing = states.last().map(undocumented).unwrap_or_default();
        assert!(
            missing.is_empty(),
            "COMMENT ON is missing for {missing:?}: schema.rs and its readers live on it"
        );

        for (folder, before) in folders.iter().zip(&states).rev() {
            catalog::apply(&client, &folder.join("down.sql")).await?;
            let after = catalog::read(&client).await?;
            assert!(
                after == *before,
                "{}: down.sql does not undo up.sql",
                folder.display()
            );
        }
        let left: Vec<String> = client
            .query(
                "SELECT oid::regtype::text FROM pg_type WHERE typnamespace = 'public'::regnamespace
                 UNION ALL SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
                 UNION ALL SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'public'::regnamespace",
                &[],
            )
            .await?
            .iter()
            .map(|row| row.get(0))
            .collect();
        assert!(left.is_empty(), "the down.sql files leave {left:?}");
        Ok::<_, Failure>(())
    });
    result.unwrap();
}

#[test]
fn a_column_without_a_sentence_is_found() {
    let cluster = Cluster::scratch(tree::tools(), note).unwrap();
    let tables = catalog::block_on(async {
        let client = catalog::connect(&cluster.url("postgres")).await?;
        client
            .batch_execute("CREATE TABLE a (b int PRIMARY KEY); COMMENT ON TABLE a IS 'Said.'")
            .await?;
        catalog::read(&client).await
    });
    assert_eq!(undocumented(&tables.unwrap()), ["a.b"]);
}
