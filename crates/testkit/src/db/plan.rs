//! What a query reads.

use serde_json::Value;
use tokio_postgres::{Client, SimpleQueryMessage};

/// How many rows the nodes of a statement's plan hand on or look at in vain. It runs the statement.
///
/// # Panics
///
/// When the server refuses the statement.
pub async fn rows_read(client: &Client, statement: &str) -> f64 {
    let explain = format!("EXPLAIN (ANALYZE, FORMAT JSON) {statement}");
    let answer = client
        .simple_query(&explain)
        .await
        .expect("a statement that runs");
    let plan: String = answer
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        })
        .collect();
    let plan: Value = serde_json::from_str(&plan).expect("a plan in JSON");
    of_node(&plan[0]["Plan"])
}

fn of_node(node: &Value) -> f64 {
    let number = |name: &str| node[name].as_f64().unwrap_or(0.0);
    let own = (number("Actual Rows") + number("Rows Removed by Filter")) * number("Actual Loops");
    let below = node["Plans"].as_array().into_iter().flatten().map(of_node);
    own + below.sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::super::TestDb;
    use super::*;

    #[tokio::test]
    async fn rows_that_are_filtered_out_are_read_too() {
        let db = TestDb::empty().await;
        let client = db.client().await;
        let all = "SELECT FROM generate_series(1, 100) n";
        assert!(rows_read(&client, all).await >= 100.0);
        let none = "SELECT FROM generate_series(1, 100) n WHERE n < 0";
        assert!(rows_read(&client, none).await >= 100.0);
        assert!(rows_read(&client, "SELECT 1").await < 10.0);
    }
}
