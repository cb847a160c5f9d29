//! What can go wrong between the service and its database.

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use domicile_kernel::Fate;
use domicile_kernel::state::TextState;
use thiserror::Error;

/// A failed database operation. `Display` holds no value of any row.
#[derive(Debug, Error)]
pub enum StoreError {
    /// No connection could be had, or it broke.
    #[error("the database cannot be reached")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// All connections were busy for too long.
    #[error("no database connection became free in time")]
    PoolTimeout,
    /// PostgreSQL ended the transaction to break a deadlock or a conflict, more often than it is repeated.
    #[error("the transaction {name} conflicted with others too often")]
    Conflict {
        /// The transaction's name; empty while it is still being repeated.
        name: &'static str,
    },
    /// The row exists already.
    #[error("the unique constraint {0} does not allow a second row")]
    Unique(String),
    /// A row breaks a rule of the schema.
    #[error("the constraint {0} refuses the row")]
    Constraint(String),
    /// A statement that must change exactly one row changed another number of rows.
    #[error("{what}: expected to change one row, changed {rows}")]
    NotOneRow {
        /// What the statement does.
        what: &'static str,
        /// How many rows it changed.
        rows: usize,
    },
    /// The row looked for is not there.
    #[error("no such row")]
    NotFound,
    /// A row holds something that this version does not know.
    #[error("the column {column} holds an unknown value")]
    Corrupt {
        /// The column.
        column: &'static str,
    },
    /// PostgreSQL refuses a prepared statement: a defect, or a value that no column takes.
    #[error("the database refused a statement (SQLSTATE {sqlstate})")]
    Refused {
        /// PostgreSQL's error code.
        sqlstate: String,
    },
    /// Anything else that PostgreSQL or diesel refuses: a defect.
    #[error("the database refused a statement")]
    Statement(#[source] DieselError),
}

impl StoreError {
    /// Whether the same operation may succeed later.
    pub fn fate(&self) -> Fate {
        match self {
            Self::Unavailable(_) | Self::PoolTimeout | Self::Conflict { .. } => Fate::RETRY,
            Self::Unique(_)
            | Self::Constraint(_)
            | Self::NotOneRow { .. }
            | Self::NotFound
            | Self::Corrupt { .. }
            | Self::Refused { .. }
            | Self::Statement(_) => Fate::Final,
        }
    }

    /// True when this unique constraint or index refused the row.
    pub fn violates(&self, constraint: &str) -> bool {
        matches!(self, Self::Unique(name) if name == constraint)
    }
}

impl From<DieselError> for StoreError {
    fn from(error: DieselError) -> Self {
        match error {
            DieselError::NotFound => Self::NotFound,
            DieselError::DatabaseError(kind, info) => {
                let constraint = || info.constraint_name().unwrap_or("unnamed").to_owned();
                match kind {
                    DatabaseErrorKind::UniqueViolation => Self::Unique(constraint()),
                    DatabaseErrorKind::ForeignKeyViolation
                    | DatabaseErrorKind::NotNullViolation
                    | DatabaseErrorKind::CheckViolation => Self::Constraint(constraint()),
                    DatabaseErrorKind::SerializationFailure => Self::Conflict { name: "" },
                    DatabaseErrorKind::ClosedConnection => {
                        Self::Unavailable(Box::new(DieselError::DatabaseError(kind, info)))
                    }
                    // PostgreSQL's text is all that diesel keeps of a deadlock (SQLSTATE 40P01) and of a shutdown.
                    _ if info.message().contains("deadlock detected") => Self::Conflict { name: "" },
                    _ if is_shutdown(info.message()) => {
                        Self::Unavailable(Box::new(DieselError::DatabaseError(kind, info)))
                    }
                    _ => Self::Statement(DieselError::DatabaseError(kind, info)),
                }
            }
            DieselError::BrokenTransactionManager => {
                Self::Unavailable(Box::new(DieselError::BrokenTransactionManager))
            }
            other => Self::Statement(other),
        }
    }
}

fn is_shutdown(message: &str) -> bool {
    [
        "terminating connection",
        "the database system is",
        "connection closed",
        "cannot execute INSERT in a read-only",
    ]
    .iter()
    .any(|text| message.contains(text))
}

/// Turns "changed `rows` rows" into an error unless it is exactly one.
pub fn one_row(what: &'static str, rows: usize) -> Result<(), StoreError> {
    if rows == 1 {
        Ok(())
    } else {
        Err(StoreError::NotOneRow { what, rows })
    }
}

/// Reads a state column.
pub fn parse_state<S: TextState>(column: &'static str, text: &str) -> Result<S, StoreError> {
    S::from_text(text).map_err(|_| StoreError::Corrupt { column })
}
