//! Writes tables as diesel's `table!` blocks.

use std::fmt::Write;

use super::catalog::{Table, Tables};
use crate::run::{Failure, Outcome};

/// Words that Rust reserves, as far as a column might have them as its name.
const RESERVED: &[&str] = &[
    "as", "async", "await", "box", "break", "const", "continue", "do", "dyn", "else", "enum", "extern",
    "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod", "move",
    "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true",
    "try", "type", "unsafe", "use", "virtual", "where", "while", "yield",
];

/// The whole file.
pub(crate) fn schema(tables: &Tables) -> Outcome<String> {
    let mut text = String::from(
        "//! The tables of the migrations, as diesel names them. Written by `cargo xtask gen`; never edit it.\n",
    );
    for (name, table) in tables {
        text.push('\n');
        block(&mut text, name, table)?;
    }
    text.push('\n');
    for (name, table) in tables {
        for key in &table.foreign_keys {
            let same_parent = table
                .foreign_keys
                .iter()
                .filter(|other| other.parent == key.parent)
                .count();
            // diesel allows one way between two tables, and none from a table to itself.
            if same_parent == 1 && key.parent != *name {
                writeln!(
                    text,
                    "diesel::joinable!({name} -> {} ({}));",
                    key.parent,
                    identifier(&key.column)
                )?;
            }
        }
    }
    if tables.len() > 1 {
        let names: Vec<&str> = tables.keys().map(String::as_str).collect();
        writeln!(
            text,
            "\ndiesel::allow_tables_to_appear_in_same_query!({});",
            names.join(", ")
        )?;
    }
    Ok(text)
}

fn block(text: &mut String, name: &str, table: &Table) -> Outcome {
    if table.primary_key.is_empty() {
        return Err(Failure(format!(
            "the table {name} has no primary key, which diesel needs"
        )));
    }
    writeln!(text, "diesel::table! {{")?;
    doc(text, 4, table.comment.as_deref())?;
    let key: Vec<String> = table
        .primary_key
        .iter()
        .map(|column| identifier(column))
        .collect();
    writeln!(text, "    {name} ({}) {{", key.join(", "))?;
    for column in &table.columns {
        doc(text, 8, column.comment.as_deref())?;
        let identifier = identifier(&column.name);
        if identifier != column.name {
            writeln!(text, "        #[sql_name = \"{}\"]", column.name)?;
        }
        let mapped = diesel_type(&column.sql_type).ok_or_else(|| {
            Failure(format!(
                "{name}.{}: `cargo xtask gen` knows no diesel type for {}",
                column.name, column.sql_type
            ))
        })?;
        let mapped = if column.nullable {
            format!("Nullable<{mapped}>")
        } else {
            mapped
        };
        writeln!(text, "        {identifier} -> {mapped},")?;
    }
    writeln!(text, "    }}\n}}")?;
    Ok(())
}

fn doc(text: &mut String, indent: usize, comment: Option<&str>) -> Outcome {
    for line in comment.unwrap_or_default().lines() {
        writeln!(text, "{:indent$}/// {line}", "")?;
    }
    Ok(())
}

fn identifier(name: &str) -> String {
    if RESERVED.contains(&name) {
        format!("{name}_")
    } else {
        name.to_owned()
    }
}

fn diesel_type(sql_type: &str) -> Option<String> {
    if let Some(element) = sql_type.strip_suffix("[]") {
        // PostgreSQL cannot forbid null elements in the type; our statements never write one.
        return diesel_type(element).map(|element| format!("Array<{element}>"));
    }
    let mapped = match sql_type {
        "uuid" => "Uuid",
        "text" => "Text",
        "bytea" => "Binary",
        "timestamp with time zone" => "Timestamptz",
        "date" => "Date",
        "smallint" => "Int2",
        "integer" => "Int4",
        "bigint" => "Int8",
        "boolean" => "Bool",
        "double precision" => "Float8",
        "jsonb" => "Jsonb",
        _ => return None,
    };
    Some(mapped.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::catalog::{Column, ForeignKey};
    use super::*;

    fn column(name: &str, sql_type: &str, nullable: bool) -> Column {
        Column {
            name: name.into(),
            sql_type: sql_type.into(),
            nullable,
            comment: Some(format!("The {name}.")),
        }
    }

    fn parent() -> Table {
        Table {
            comment: Some("What is sold.".into()),
            columns: vec![column("id", "uuid", false), column("tags", "text[]", true)],
            primary_key: vec!["id".into()],
            foreign_keys: vec![],
        }
    }

    #[test]
    fn a_table_is_written_with_its_comments_keys_and_types() {
        let child = Table {
            comment: None,
            columns: vec![column("shop_id", "uuid", false), column("type", "bigint", false)],
            primary_key: vec!["shop_id".into(), "type".into()],
            foreign_keys: vec![ForeignKey {
                column: "shop_id".into(),
                parent: "shops".into(),
            }],
        };
        let text = schema(&Tables::from([
            ("shops".into(), parent()),
            ("items".into(), child),
        ]))
        .unwrap();
        for expected in [
            "    /// What is sold.\n    shops (id) {\n        /// The id.\n        id -> Uuid,\n",
            "        tags -> Nullable<Array<Text>>,\n",
            "    items (shop_id, type_) {\n",
            "        #[sql_name = \"type\"]\n        type_ -> Int8,\n",
            "diesel::joinable!(items -> shops (shop_id));\n",
            "diesel::allow_tables_to_appear_in_same_query!(items, shops);\n",
        ] {
            assert!(text.contains(expected), "{expected} is not in\n{text}");
        }
    }

    #[test]
    fn two_ways_between_tables_and_a_way_to_itself_are_not_joinable() {
        let mut child = parent();
        for (column, parent) in [("a", "shops"), ("b", "shops"), ("c", "items")] {
            child.foreign_keys.push(ForeignKey {
                column: column.into(),
                parent: parent.into(),
            });
        }
        let text = schema(&Tables::from([
            ("shops".into(), parent()),
            ("items".into(), child),
        ]))
        .unwrap();
        assert!(!text.contains("joinable!"), "{text}");
    }

    #[test]
    fn an_unknown_type_and_a_missing_key_are_named() {
        let mut table = parent();
        table.columns.push(column("price", "money", false));
        let failure = schema(&Tables::from([("shops".into(), table)])).unwrap_err();
        assert!(
            failure.0.contains("shops.price") && failure.0.contains("money"),
            "{failure}"
        );

        let mut table = parent();
        table.primary_key.clear();
        assert!(
            schema(&Tables::from([("shops".into(), table)]))
                .unwrap_err()
                .0
                .contains("no primary key")
        );
    }
}
