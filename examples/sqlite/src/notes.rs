//! The notes: one connection to a database, asked on threads that may wait for it.
//! It knows nothing of HTTP.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension as _};
use springtide::Failure;

/// A table of notes. Clones share its connection.
#[derive(Clone)]
pub(crate) struct Notes {
    connection: Arc<Mutex<Connection>>,
}

impl Notes {
    pub(crate) fn open(path: &str) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)",
        )?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)) })
    }

    /// Keeps a note and names it.
    pub(crate) async fn add(self, text: String) -> Result<i64, Failure> {
        self.ask(move |connection| {
            connection.execute("INSERT INTO notes (text) VALUES (?1)", [text])?;
            Ok(connection.last_insert_rowid())
        })
        .await
    }

    /// What a note says, if there is one.
    pub(crate) async fn text(self, id: i64) -> Result<Option<String>, Failure> {
        self.ask(move |connection| {
            let mut found = connection.prepare_cached("SELECT text FROM notes WHERE id = ?1")?;
            found.query_row([id], |row| row.get(0)).optional()
        })
        .await
    }

    /// SQLite waits for its disk: a thread of tokio's does so for us.
    async fn ask<T: Send + 'static>(
        self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let asked = tokio::task::spawn_blocking(move || {
            let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
            question(&connection)
        });
        Ok(asked.await??)
    }
}
