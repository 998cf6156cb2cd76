//! Bindings of the crate behind `lmfast.tokenizer`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use lmfast_base::source::Options as SourceOptions;
use lmfast_base::{Control, Encode, Error};
use lmfast_text::clean::Cleaner;
use lmfast_text::train::{Config, Kind, TieOrder};
use lmfast_text::{Encoded, Encoder, Extra, Fill, Ids, Offsets, Options, RowOptions, Special, Strategy, StreamDecoder};
use numpy::{PyArray1, PyArrayMethods};
use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyBytes, PyDict, PyList};

use crate::clean::Arguments;
use crate::error::to_python;
use crate::gate;
use crate::ids::{self, Integers};

/// Below this many bytes of text a call is over before it could be interrupted, and stays on its thread.
const SHORT: usize = 1 << 14;

/// A tokenizer, and how its ids are made where a store or an n-gram model asks for them.
#[pyclass(frozen, module = "lmfast._core")]
pub(crate) struct Tokenizer {
    inner: Arc<lmfast_text::Tokenizer>,
    options: Options,
    integers: Integers,
}

impl Tokenizer {
    fn new(tokenizer: lmfast_text::Tokenizer) -> Self {
        let options = Options { add_special_tokens: false, special: Special::Text };
        Self { inner: Arc::new(tokenizer), options, integers: Integers::default() }
    }

    /// What other parts of lmfast encode with.
    pub(crate) fn encoder(&self) -> Arc<dyn Encode> {
        Arc::new(Encoder { tokenizer: self.inner.clone(), options: self.options })
    }
}

#[pymethods]
impl Tokenizer {
    /// Reads a file of any known format.
    #[staticmethod]
    #[pyo3(signature = (path, pattern=None, special_tokens=None))]
    #[expect(clippy::needless_pass_by_value, reason = "made for this call out of Python's dict")]
    fn open(
        py: Python<'_>,
        path: PathBuf,
        pattern: Option<&str>,
        special_tokens: Option<Vec<(String, u32)>>,
    ) -> PyResult<Self> {
        let extra = Extra { pattern, special_tokens: special_tokens.as_deref() };
        py.detach(|| lmfast_text::Tokenizer::open_with(path, extra)).map(Self::new).map_err(to_python)
    }

    /// Reads what `state` gave.
    #[staticmethod]
    fn from_state(py: Python<'_>, state: &[u8]) -> PyResult<Self> {
        py.detach(|| lmfast_text::Tokenizer::from_state(state)).map(Self::new).map_err(to_python)
    }

    /// Makes a vocabulary from a source that lmfast/source.py resolved.
    #[staticmethod]
    #[pyo3(signature = (source, vocab_size, kind, *, pattern, special_tokens, min_frequency, tie_order, limit_alphabet, initial_alphabet, max_token_length, lowercase, byte_fallback, continue_from, text_field, text_column, cleaning, threads, progress))]
    #[expect(clippy::too_many_arguments, reason = "the settings of a training, each with a name in Python")]
    fn train(
        py: Python<'_>,
        source: &Bound<'_, PyAny>,
        vocab_size: usize,
        kind: &str,
        pattern: Option<String>,
        special_tokens: Vec<String>,
        min_frequency: u64,
        tie_order: Option<&str>,
        limit_alphabet: Option<usize>,
        initial_alphabet: Vec<char>,
        max_token_length: Option<usize>,
        lowercase: Option<bool>,
        byte_fallback: Option<bool>,
        continue_from: Option<&Self>,
        text_field: String,
        text_column: String,
        cleaning: Option<Arguments>,
        threads: Option<usize>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let config = Config {
            kind: kind_of(kind)?,
            vocab_size,
            pattern,
            special_tokens,
            min_frequency,
            tie_order: tie_order.map(tie_order_of).transpose()?,
            limit_alphabet,
            initial_alphabet,
            max_token_length,
            lowercase,
            byte_fallback,
            continue_from: continue_from.map(|tokenizer| tokenizer.inner.clone()),
            threads,
        };
        let options = SourceOptions { lines: true, keep_line_ends: true, text_field, text_column };
        let (batches, total) = crate::source::open(source, options)?;
        let cleaning = cleaning.map(|cleaning| cleaning.cleaning()).transpose()?;
        gate::run(py, progress, move |control| match cleaning {
            Some(cleaning) => {
                let cleaned = Cleaner::new(batches, cleaning, threads, control)?;
                lmfast_text::train::train(cleaned, total, &config, control)
            }
            None => lmfast_text::train::train(batches, total, &config, control),
        })
        .map(Self::new)
    }

    /// The same tokenizer with other options for stores.
    fn with_options(&self, add_special_tokens: bool, special: &str) -> PyResult<Self> {
        let options = options(add_special_tokens, special)?;
        Ok(Self { inner: self.inner.clone(), options, integers: Integers::default() })
    }

    /// Writes a tokenizer.json.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        py.detach(|| self.inner.save(path)).map_err(to_python)
    }

    /// All that makes this tokenizer.
    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.inner.state().map(|state| PyBytes::new(py, &state)).map_err(to_python)
    }

    /// The largest id plus one.
    #[getter]
    fn vocab_size(&self) -> u32 {
        self.inner.vocab_size()
    }

    /// The id that ends a text.
    #[getter]
    fn end_of_text(&self) -> Option<u32> {
        self.inner.end_of_text()
    }

    /// Special tokens with their ids.
    fn special_tokens<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let tokens = PyDict::new(py);
        self.inner.special_tokens().try_for_each(|(token, id)| tokens.set_item(token, id)).map(|()| tokens)
    }

    /// All tokens with their ids, in the order of ids.
    fn vocab<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let tokens = PyDict::new(py);
        self.inner.vocab().into_iter().try_for_each(|(token, id)| tokens.set_item(token, id)).map(|()| tokens)
    }

    fn token_to_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    fn id_to_token(&self, id: &Bound<'_, PyAny>) -> PyResult<Option<&str>> {
        match id.extract::<u32>() {
            Ok(id) => Ok(self.inner.id_to_token(id)),
            Err(error) if error.is_instance_of::<PyOverflowError>(id.py()) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The ids of a text.
    fn encode<'py>(
        &self,
        py: Python<'py>,
        text: &str,
        add_special_tokens: bool,
        special: &str,
    ) -> PyResult<Bound<'py, PyList>> {
        let options = options(add_special_tokens, special)?;
        let ids = if text.len() < SHORT {
            self.inner.encode(text, options).map_err(to_python)?
        } else {
            gate::run(py, None, |control| {
                let mut ids = Vec::new();
                self.inner.session_with(options).append(text, &mut ids, control).map(|()| ids)
            })?
        };
        self.integers.list(py, &ids)
    }

    /// A list of ids for each text.
    #[expect(clippy::needless_pass_by_value, reason = "the strings are kept alive here")]
    fn encode_batch<'py>(
        &self,
        py: Python<'py>,
        texts: Vec<PyBackedStr>,
        add_special_tokens: bool,
        special: &str,
        threads: Option<usize>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let Encoded { ids, offsets } =
            self.encoded(py, &texts, options(add_special_tokens, special)?, threads, progress)?;
        let rows = offsets.windows(2).map(|ends| ends[0] as usize..ends[1] as usize);
        match &ids {
            Ids::Narrow(ids) => self.integers.lists(py, rows.map(|row| ids[row].iter().copied().map(u32::from))),
            Ids::Wide(ids) => self.integers.lists(py, rows.map(|row| ids[row].iter().copied())),
        }
    }

    /// All ids in one array, and where each text begins.
    #[expect(clippy::needless_pass_by_value, reason = "the strings are kept alive here")]
    fn encode_array<'py>(
        &self,
        py: Python<'py>,
        texts: Vec<PyBackedStr>,
        add_special_tokens: bool,
        special: &str,
        threads: Option<usize>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyArray1<u64>>)> {
        let Encoded { ids, offsets } =
            self.encoded(py, &texts, options(add_special_tokens, special)?, threads, progress)?;
        let ids = match ids {
            Ids::Narrow(ids) => PyArray1::from_vec(py, ids).into_any(),
            Ids::Wide(ids) => PyArray1::from_vec(py, ids).into_any(),
        };
        Ok((ids, PyArray1::from_vec(py, offsets)))
    }

    /// Texts or pairs of texts as rows: ids, attention mask and type ids, and where tokens lie if that is asked for.
    #[expect(clippy::needless_pass_by_value, reason = "the strings are kept alive here")]
    #[expect(clippy::too_many_arguments, reason = "the settings of rows, each with a name in Python")]
    fn encode_rows<'py>(
        &self,
        py: Python<'py>,
        texts: Vec<PyBackedStr>,
        text_pairs: Option<Vec<PyBackedStr>>,
        max_length: Option<usize>,
        truncation: Option<&str>,
        padding: Option<&str>,
        offsets: Option<&str>,
        add_special_tokens: bool,
        special: &str,
        threads: Option<usize>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let options = RowOptions {
            options: options(add_special_tokens, special)?,
            max_length,
            truncation: truncation.map(strategy).transpose()?,
            fill: match padding {
                None => Fill::No,
                Some("longest") => Fill::Longest,
                Some("max_length") => Fill::MaxLength,
                Some(other) => return Err(wanted("padding", other, "False, True or \"max_length\"")),
            },
            offsets: match offsets {
                None => Offsets::No,
                Some("characters") => Offsets::Characters,
                Some("bytes") => Offsets::Bytes,
                Some(other) => return Err(wanted("return_offsets", other, "False, True or \"bytes\"")),
            },
        };
        let pairs = text_pairs.as_deref();
        let bytes: usize = texts.iter().chain(pairs.unwrap_or_default()).map(|text| text.len()).sum();
        let make = |control: &Control| self.inner.encode_rows(&texts, pairs, options, threads, control);
        let rows =
            if bytes < SHORT { make(&Control::default()).map_err(to_python)? } else { gate::run(py, progress, make)? };
        let (num_rows, length) = (rows.num_rows, rows.length);
        let shaped = |values| Ok(PyArray1::<i64>::from_vec(py, values).reshape([num_rows, length])?.into_any());
        let mut arrays =
            [rows.ids, rows.attention_mask, rows.type_ids].into_iter().map(shaped).collect::<PyResult<Vec<_>>>()?;
        if let Some(offsets) = rows.offsets {
            arrays.push(PyArray1::<i64>::from_vec(py, offsets).reshape([num_rows, length, 2])?.into_any());
        }
        Ok(arrays)
    }

    /// The text of ids.
    fn decode(&self, py: Python<'_>, ids: &Bound<'_, PyAny>, skip_special_tokens: bool) -> PyResult<String> {
        let ids = ids::extract(ids, self.inner.vocab_size())?;
        py.detach(|| self.inner.decode(&ids, skip_special_tokens)).map_err(to_python)
    }

    /// The bytes of ids.
    fn decode_bytes<'py>(
        &self,
        py: Python<'py>,
        ids: &Bound<'py, PyAny>,
        skip_special_tokens: bool,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let ids = ids::extract(ids, self.inner.vocab_size())?;
        let bytes = py.detach(|| self.inner.decode_bytes(&ids, skip_special_tokens)).map_err(to_python)?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// A decoder at the beginning of a text.
    fn decoder(&self, skip_special_tokens: bool) -> Decoder {
        let decoder = StreamDecoder::new(self.inner.clone(), skip_special_tokens);
        Decoder { tokenizer: self.inner.clone(), decoder: Mutex::new(decoder) }
    }
}

impl Tokenizer {
    fn encoded(
        &self,
        py: Python<'_>,
        texts: &[PyBackedStr],
        options: Options,
        threads: Option<usize>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Encoded> {
        let bytes: usize = texts.iter().map(|text| text.len()).sum();
        let encode = |control: &Control| self.inner.encode_batch(texts, options, threads, control);
        if bytes < SHORT { encode(&Control::default()).map_err(to_python) } else { gate::run(py, progress, encode) }
    }
}

/// Decodes ids as they come.
#[pyclass(frozen, module = "lmfast._core")]
pub(crate) struct Decoder {
    tokenizer: Arc<lmfast_text::Tokenizer>,
    decoder: Mutex<StreamDecoder>,
}

#[pymethods]
impl Decoder {
    /// Takes the next id and gives the text that has become whole.
    fn push(&self, id: &Bound<'_, PyAny>) -> PyResult<String> {
        let number = id.extract::<u32>().map_err(|error| {
            if error.is_instance_of::<PyOverflowError>(id.py()) {
                ids::foreign(id, self.tokenizer.vocab_size())
            } else {
                error
            }
        })?;
        self.decoder.lock().unwrap_or_else(PoisonError::into_inner).push(number).map_err(to_python)
    }

    /// Gives what is left.
    fn finish(&self) -> PyResult<String> {
        self.decoder.lock().unwrap_or_else(PoisonError::into_inner).finish().map_err(to_python)
    }
}

fn options(add_special_tokens: bool, special: &str) -> PyResult<Options> {
    let special = match special {
        "parse" => Special::Parse,
        "text" => Special::Text,
        "refuse" => Special::Refuse,
        other => return Err(wanted("special", other, "\"parse\", \"text\" or \"refuse\"")),
    };
    Ok(Options { add_special_tokens, special })
}

fn strategy(truncation: &str) -> PyResult<Strategy> {
    match truncation {
        "longest_first" => Ok(Strategy::LongestFirst),
        "only_first" => Ok(Strategy::OnlyFirst),
        "only_second" => Ok(Strategy::OnlySecond),
        other => Err(wanted("truncation", other, "False, True, \"longest_first\", \"only_first\" or \"only_second\"")),
    }
}

/// A value that an argument does not take.
fn wanted(name: &str, value: &str, wanted: &str) -> PyErr {
    PyValueError::new_err(format!("{name}={value:?}: {wanted} is wanted"))
}

fn kind_of(kind: &str) -> PyResult<Kind> {
    let kinds = [Kind::Bpe, Kind::WordPiece, Kind::Unigram, Kind::Word, Kind::Char];
    let names = kinds.map(|kind| format!("{:?}", kind.name())).join(", ");
    let wrong = || to_python(Error::invalid(format!("kind={kind:?}: one of {names} is wanted")));
    kinds.into_iter().find(|known| known.name() == kind).ok_or_else(wrong)
}

fn tie_order_of(order: &str) -> PyResult<TieOrder> {
    match order {
        "characters" => Ok(TieOrder::Characters),
        "bytes" => Ok(TieOrder::Bytes),
        other => Err(PyValueError::new_err(format!("tie_order={other:?}: \"characters\" or \"bytes\" is wanted"))),
    }
}
