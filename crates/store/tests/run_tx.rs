//! Transactions with a name.
use domicile_store::{Conn, Db, StoreError};

#[allow(dead_code)]
async fn closure_may_borrow(db: &Db) -> Result<u32, StoreError> {
    let n = String::from("x");
    let r = &n;
    db.run_tx("t", async |conn: &mut Conn| -> Result<u32, StoreError> {
        let _ = (conn, r.len());
        Ok(1)
    })
    .await
}
fn needs_send<T: Send>(_: T) {}
#[test]
fn sendable() {
    let _ = |db: &'static Db| needs_send(closure_may_borrow(db));
}
