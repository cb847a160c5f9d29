//! Reads the tables out of a migrated database.

use std::collections::BTreeMap;
use std::fs;

use tokio_postgres::{Client, NoTls};

use crate::run::{Failure, Outcome};
use crate::tree;

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// As `format_type` prints it, such as `timestamp with time zone` or `text[]`.
    pub(crate) sql_type: String,
    pub(crate) nullable: bool,
    pub(crate) comment: Option<String>,
}

/// A foreign key of one column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ForeignKey {
    pub(crate) column: String,
    pub(crate) parent: String,
}

/// One table; the columns are in the order of their making.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) comment: Option<String>,
    pub(crate) columns: Vec<Column>,
    pub(crate) primary_key: Vec<String>,
    pub(crate) foreign_keys: Vec<ForeignKey>,
}

/// All tables by name.
pub(crate) type Tables = BTreeMap<String, Table>;

/// Runs database work to its end.
pub(crate) fn block_on<T>(work: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

/// Connects to a private cluster.
pub(crate) async fn connect(url: &str) -> Outcome<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // Its error, if any, comes back from the statement that was under way.
    tokio::spawn(connection);
    Ok(client)
}

/// Applies every `up.sql`, as the binary does it.
pub(crate) async fn migrate(client: &Client) -> Outcome {
    for folder in tree::migrations()? {
        apply(client, &folder.join("up.sql")).await?;
    }
    Ok(())
}

/// Runs one file of statements in one transaction.
pub(crate) async fn apply(client: &Client, file: &std::path::Path) -> Outcome {
    let sql = fs::read_to_string(file).map_err(|error| Failure(format!("{}: {error}", file.display())))?;
    let sql = format!("BEGIN;\n{sql}\nCOMMIT;");
    client.batch_execute(&sql).await.map_err(|error| {
        let detail = error
            .as_db_error()
            .map_or_else(|| error.to_string(), ToString::to_string);
        Failure(format!("{}: {detail}", file.display()))
    })
}

/// Reads all tables of the schema `public`.
pub(crate) async fn read(client: &Client) -> Outcome<Tables> {
    let mut tables = Tables::new();
    let rows = client
        .query(
            "SELECT c.relname::text, obj_description(c.oid, 'pg_class')
             FROM pg_class c
             WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
               AND c.relname <> '__diesel_schema_migrations'",
            &[],
        )
        .await?;
    for row in rows {
        tables.insert(
            row.get(0),
            Table {
                comment: row.get(1),
                ..Table::default()
            },
        );
    }
    for (name, table) in &mut tables {
        let rows = client
            .query(
                "SELECT a.attname::text, format_type(a.atttypid, NULL), NOT a.attnotnull, col_description(c.oid, a.attnum)
                 FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
                 WHERE c.relnamespace = 'public'::regnamespace AND c.relname = $1::text::name
                   AND a.attnum > 0 AND NOT a.attisdropped
                 ORDER BY a.attnum",
                &[name],
            )
            .await?;
        for row in rows {
            table.columns.push(Column {
                name: row.get(0),
                sql_type: row.get(1),
                nullable: row.get(2),
                comment: row.get(3),
            });
        }
        let rows = client
            .query(
                "SELECT k.contype::text, parent.relname::text,
                        (SELECT array_agg(a.attname::text ORDER BY at.place)
                         FROM unnest(k.conkey) WITH ORDINALITY AS at (number, place)
                         JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = at.number)
                 FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
                 LEFT JOIN pg_class parent ON parent.oid = k.confrelid
                 WHERE c.relnamespace = 'public'::regnamespace AND c.relname = $1::text::name
                   AND k.contype IN ('p', 'f')",
                &[name],
            )
            .await?;
        for row in rows {
            let columns: Vec<String> = row.get(2);
            match (row.get::<_, Option<String>>(1), columns.as_slice()) {
                (None, _) => table.primary_key = columns,
                (Some(parent), [column]) => {
                    table.foreign_keys.push(ForeignKey {
                        column: column.clone(),
                        parent,
                    });
                }
                // diesel's `joinable!` knows keys of one column only.
                (Some(_), _) => {}
            }
        }
        table.foreign_keys.sort();
    }
    Ok(tables)
}
