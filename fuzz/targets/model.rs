//! Hostile bytes as the file of an n-gram model: refused with an error that names the file, or a model that answers.

use lmfast_base::{Control, Error};
use lmfast_ngram::Model;

/// Texts with known words, unknown ones and none.
const TEXTS: [&str; 3] = ["a b <unk> c", "zz a a a b", ""];

/// Opens bytes as a file of this name and asks for everything that a model gives.
pub fn read(name: &str, bytes: &[u8]) {
    let Ok(folder) = tempfile::tempdir() else { return };
    let (path, control) = (folder.path().join(name), Control::default());
    if std::fs::write(&path, bytes).is_err() {
        return;
    }
    match Model::load(&path, &control) {
        Ok(model) => {
            for text in TEXTS {
                let words = model.word_ids(text);
                let scores = model.token_scores(&words, true, true);
                assert_eq!(scores.len(), words.len() + 1);
                assert_eq!(model.next_distribution(&words).len(), model.vocabulary().len());
                let _ = model.score(&words, false, true);
            }
            let _ = model.score_batch(&TEXTS, true, true, &control);
            let _ = (model.verify(&control), model.save_arpa(folder.path().join("again.arpa"), &control));
            let _ = model.save_lmn(folder.path().join("again.lmn"), &control);
        }
        Err(error @ (Error::Io { .. } | Error::Format { .. })) => {
            let what = error.to_string();
            assert!(what.contains(name), "names no file: {what}");
        }
        Err(error) => panic!("not about a file: {error}"),
    }
}
