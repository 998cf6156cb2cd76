//! The text column of a parquet file, read page by page: memory is that of a few pages, whatever the row groups' size.
//!
//! Nothing in the file is trusted. Text must be UTF-8 and not null, and where the decoder of the `parquet` crate panics
//! on damaged bytes, the panic becomes an error that names the file, and prints nothing.

use std::cell::Cell;
use std::fs::File;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Once;

use ::parquet::basic::{ConvertedType, LogicalType, Type};
use ::parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use ::parquet::data_type::{ByteArray, ByteArrayType};
use ::parquet::errors::ParquetError;
use ::parquet::file::reader::{FileReader, SerializedFileReader};

use super::{Documents, utf8};
use crate::{Error, Result};

/// Rows are decoded this many at a time: few, since one may hold a book.
const ROWS: usize = 64;

/// One open parquet file.
pub(super) struct Reader {
    path: PathBuf,
    file: SerializedFileReader<File>,
    column: usize,
    /// A value whose definition level is lower is null.
    defined: i16,
    file_bytes: u64,
    num_rows: u64,
    next_row_group: usize,
    current: Option<ColumnReaderImpl<ByteArrayType>>,
    rows: u64,
    reported: u64,
    values: Vec<ByteArray>,
    levels: Vec<i16>,
}

impl Reader {
    /// Opens the file and finds its column.
    pub(super) fn open(path: PathBuf, name: &str) -> Result<Self> {
        let input = File::open(&path).map_err(Error::io(&path))?;
        let file_bytes = input.metadata().map_err(Error::io(&path))?.len();
        let file = guarded(&path, || SerializedFileReader::new(input))?;
        let metadata = file.metadata().file_metadata();
        let schema = metadata.schema_descr();
        let found = schema.columns().iter().enumerate().find(|(_, column)| column.path().string() == name);
        let Some((column, description)) = found else {
            let mut names: Vec<String> =
                schema.columns().iter().take(20).map(|column| column.path().string()).collect();
            if schema.num_columns() > names.len() {
                names.push("...".to_owned());
            }
            let names = names.join(", ");
            return Err(Error::format(
                &path,
                format!("no column {name:?} among {names}: name the one that holds the text with text_column="),
            ));
        };
        let is_text = description.physical_type() == Type::BYTE_ARRAY
            && matches!(
                description.logical_type_ref(),
                None | Some(LogicalType::String | LogicalType::Enum | LogicalType::Json)
            )
            && !matches!(description.converted_type(), ConvertedType::DECIMAL | ConvertedType::BSON);
        if !is_text || description.max_rep_level() > 0 {
            let kind = if description.max_rep_level() > 0 {
                "lists".to_owned()
            } else {
                format!("{}", description.physical_type())
            };
            return Err(Error::format(
                &path,
                format!(
                    "the column {name:?} holds {kind}, not strings: name the one that holds the text with text_column="
                ),
            ));
        }
        let (defined, num_rows) = (description.max_def_level(), u64::try_from(metadata.num_rows()).unwrap_or(0));
        Ok(Self {
            path,
            file,
            column,
            defined,
            file_bytes,
            num_rows,
            next_row_group: 0,
            current: None,
            rows: 0,
            reported: 0,
            values: Vec::new(),
            levels: Vec::new(),
        })
    }

    /// Adds documents until the batch is full or the file ends; says whether there may be more.
    pub(super) fn read(&mut self, batch: &mut Documents) -> Result<bool> {
        while !batch.is_full() {
            let Some(mut pages) = self.current.take() else {
                if self.next_row_group >= self.file.num_row_groups() {
                    self.rows = self.num_rows;
                    return Ok(false);
                }
                self.current = Some(self.open_row_group()?);
                self.next_row_group += 1;
                continue;
            };
            let (values, levels) = (&mut self.values, &mut self.levels);
            values.clear();
            levels.clear();
            let nullable = self.defined > 0;
            let (records, _, _) = guarded(&self.path, || {
                pages.read_records(ROWS, if nullable { Some(&mut *levels) } else { None }, None, values)
            })?;
            if let Some(at) = levels.iter().position(|&level| level < self.defined) {
                return Err(Error::format(
                    &self.path,
                    format!("row {} has no text (null): drop such rows, or write empty strings", self.rows + at as u64),
                ));
            }
            for (row, value) in (self.rows..).zip(values.iter()) {
                let bytes = guarded(&self.path, || Ok(value.data()))?;
                let text = utf8(&self.path, bytes, 0).map_err(|error| in_row(&self.path, row, &error))?;
                batch.push(text);
            }
            self.rows += records as u64;
            if records > 0 {
                self.current = Some(pages);
            }
        }
        Ok(true)
    }

    /// Bytes of the file since the last call, by the share of rows: the other columns' bytes count too.
    pub(super) fn newly_read(&mut self) -> u64 {
        let rows = u128::from(self.rows.min(self.num_rows));
        let at_end = self.current.is_none() && self.next_row_group >= self.file.num_row_groups();
        let read = match rows.saturating_mul(self.file_bytes.into()).checked_div(self.num_rows.into()) {
            Some(read) if !at_end => read as u64,
            _ => self.file_bytes,
        };
        let newly = read.saturating_sub(self.reported);
        self.reported += newly;
        newly
    }

    fn open_row_group(&self) -> Result<ColumnReaderImpl<ByteArrayType>> {
        let opened =
            guarded(&self.path, || self.file.get_row_group(self.next_row_group)?.get_column_reader(self.column))?;
        match opened {
            ColumnReader::ByteArrayColumnReader(pages) => Ok(pages),
            _ => Err(damaged(&self.path, "a row group's column is of another type than the schema says")),
        }
    }
}

thread_local! {
    /// Whether this thread is in a call whose panic becomes an error.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Calls into the crate; its errors and its panics name the file.
fn guarded<T>(path: &Path, call: impl FnOnce() -> std::result::Result<T, ParquetError>) -> Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !GUARDED.get() {
                before(info);
            }
        }));
    });
    GUARDED.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(call));
    GUARDED.set(false);
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(damaged(path, &error.to_string())),
        Err(_) => Err(damaged(path, "its decoder failed")),
    }
}

fn damaged(path: &Path, what: &str) -> Error {
    Error::format(
        path,
        format!("cannot be read as parquet ({what}): the file is damaged, cut short or of another kind"),
    )
}

fn in_row(path: &Path, row: u64, error: &Error) -> Error {
    match error {
        Error::Format { what, .. } => Error::format(path, format!("row {row}: {what}")),
        other => Error::format(path, format!("row {row}: {other}")),
    }
}
