//! A source cleaned into a file, reading, cleaning and packing at once.

use std::path::Path;
use std::thread;

use lmfast_base::sink::TextFile;
use lmfast_base::source::Documents;
use lmfast_base::{Control, Result};

use super::{Cleaner, Cleaning, Report};

/// Batches that wait to be written.
const WAITING: usize = 2;

/// Cleans the documents of a source into the file `out`; see [`TextFile`] for its forms.
///
/// The caller begins the stage of `control`; this advances it by the bytes of the source.
pub fn clean_to_file(
    source: impl Iterator<Item = Result<Documents>> + Send,
    cleaning: Cleaning,
    out: &Path,
    threads: Option<usize>,
    control: &Control,
) -> Result<Report> {
    let mut cleaner = Cleaner::new(source, cleaning, threads, control)?;
    let mut file = TextFile::create(out)?;
    let (sender, batches) = std::sync::mpsc::sync_channel::<Documents>(WAITING);
    let file = thread::scope(|scope| {
        let writer = scope.spawn(move || {
            for batch in batches {
                file.write(&batch)?;
                control.advance(batch.source_bytes);
            }
            Ok(file)
        });
        let mut outcome = Ok(());
        for batch in cleaner.by_ref() {
            match batch {
                // The writer has failed, and tells why.
                Ok(batch) => {
                    if sender.send(batch).is_err() {
                        break;
                    }
                }
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        drop(sender);
        match writer.join() {
            Ok(written) => outcome.and(written),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })?;
    control.check()?;
    file.finish()?;
    Ok(cleaner.report().clone())
}
