//! The loader against rows copied by hand, over threads, formats, layouts and interruptions.

use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::batch::Element;
use crate::store::{Format, TokenType, WriteOptions, Writer};

/// A store of these tokens, of the type that the size of the vocabulary asks for.
fn store(folder: &Path, tokens: &[i64], format: Format, vocab_size: u64) -> Arc<Store> {
    let path = folder.join("store.bin");
    let mut writer = Writer::create(&path, WriteOptions { format, vocab_size }).unwrap();
    writer.push(tokens, &[tokens.len() as u64]).unwrap();
    writer.finish(None).unwrap();
    Arc::new(Store::open(&path, None).unwrap())
}

fn sampler(store: &Store, mode: Mode, shape: (u64, u64), drop_last: bool) -> Result<Sampler> {
    Sampler::new(store.num_tokens(), mode, 5, shape.0, shape.1, drop_last, 0, 1)
}

const PATIENT: &dyn Fn() -> Result<()> = &|| Ok(());

/// What is next, as rows of inputs and of targets.
fn next<T: Element + Into<i64>>(loader: &Loader, layout: Layout) -> (Vec<Vec<i64>>, Vec<Vec<i64>>) {
    let batch = loader.next(u64::MAX, (0, 1), PATIENT).unwrap().unwrap();
    let [lines, columns] = batch.shape();
    let (inputs, targets) = batch.split::<T>();
    let rows = |part: &[T]| match layout {
        Layout::RowsFirst => part.chunks(columns).map(|row| row.iter().map(|&id| id.into()).collect()).collect(),
        Layout::TimeFirst => {
            (0..columns).map(|row| (0..lines).map(|time| part[time * columns + row].into()).collect()).collect()
        }
    };
    (rows(inputs), rows(targets))
}

fn options(dtype: Dtype, layout: Layout, threads: usize) -> LoaderOptions {
    LoaderOptions { dtype, layout, threads: Some(threads) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    #[test]
    fn batches_are_the_rows_of_the_store(
        count in 2usize..1500, batch in 1u64..40, length in 1u64..70, kind in 0usize..3, mode in 0usize..3,
        layout: bool, drop_last: bool, threads in 1usize..4,
    ) {
        let folder = TempDir::new().unwrap();
        let (format, vocab_size) = [(Format::Megatron, 60_000), (Format::Megatron, 1 << 31), (Format::LlmC, 1 << 32)][kind];
        let tokens: Vec<i64> = (0..count as i64).map(|at| at * 1_000_003 % vocab_size as i64).collect();
        let store = store(folder.path(), &tokens, format, vocab_size);
        let mode = [Mode::Shuffle, Mode::Sequential, Mode::Stateful][mode];
        let Ok(sampler) = sampler(&store, mode, (batch, length), drop_last) else { return Ok(()) };
        let layout = if layout { Layout::RowsFirst } else { Layout::TimeFirst };
        let loader = Loader::new(store, sampler.clone(), options(Dtype::Int64, layout, threads)).unwrap();
        for number in 0..sampler.batches_per_epoch() * 2 {
            let (epoch, place) = (number / sampler.batches_per_epoch(), number % sampler.batches_per_epoch());
            let rows = sampler.rows(place, &sampler.permutation(epoch));
            let row = |start: u64| tokens[start as usize..(start + rows.length) as usize].to_vec();
            let (inputs, targets) = next::<i64>(&loader, layout);
            prop_assert_eq!(inputs, rows.starts.iter().map(|&start| row(start)).collect::<Vec<_>>());
            prop_assert_eq!(targets, rows.starts.iter().map(|&start| row(start + 1)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn every_state_leads_back(count in 200usize..900, at in 0usize..60, workers in 1u64..4, threads in 1usize..4) {
        let folder = TempDir::new().unwrap();
        let store = store(folder.path(), &(0..count as i64).collect::<Vec<_>>(), Format::Megatron, 1000);
        let sampler = sampler(&store, Mode::Shuffle, (3, 7), true).unwrap();
        let open = || Loader::new(store.clone(), sampler.clone(), options(Dtype::Int32, Layout::RowsFirst, threads)).unwrap();
        let (first, second) = (open(), open());
        for _ in 0..at {
            next::<i32>(&first, Layout::RowsFirst);
        }
        let state = first.state(77).unwrap();
        second.load_state(&state, 77).unwrap();
        prop_assert_eq!(second.state(77).unwrap(), state);
        let crew: Vec<Loader> = (0..workers).map(|_| open()).collect();
        for loader in &crew {
            loader.load_state(&first.state(77).unwrap(), 77).unwrap();
        }
        for round in 0..12 {
            let expected = next::<i32>(&first, Layout::RowsFirst);
            prop_assert_eq!(&next::<i32>(&second, Layout::RowsFirst), &expected);
            let worker = round % workers;
            let batch = crew[worker as usize].next(u64::MAX, (worker, workers), PATIENT).unwrap().unwrap();
            let inputs: Vec<i64> = batch.split::<i32>().0.iter().map(|&id| id.into()).collect();
            prop_assert_eq!(inputs, expected.0.concat(), "worker {} of {}", worker, workers);
        }
    }
}

#[test]
fn ends_are_kept_by_every_worker() {
    let folder = TempDir::new().unwrap();
    let store = store(folder.path(), &(0..200).collect::<Vec<_>>(), Format::Megatron, 1000);
    let sampler = sampler(&store, Mode::Sequential, (2, 10), true).unwrap();
    assert_eq!(sampler.batches_per_epoch(), 9);
    for workers in 1..5 {
        let counts: Vec<u64> = (0..workers)
            .map(|worker| {
                let loader =
                    Loader::new(store.clone(), sampler.clone(), options(Dtype::Int64, Layout::RowsFirst, 2)).unwrap();
                let count = std::iter::from_fn(|| loader.next(9, (worker, workers), PATIENT).unwrap()).count() as u64;
                assert_eq!(loader.position(), 9, "worker {worker} of {workers}");
                assert!(loader.next(9, (worker, workers), PATIENT).unwrap().is_none(), "an end stays one");
                count
            })
            .collect();
        assert_eq!(counts.iter().sum::<u64>(), 9);
        assert!(counts.is_sorted_by(|a, b| a >= b && a - b <= 1), "{counts:?}");
    }
}

#[test]
fn a_reset_goes_to_the_next_epoch() {
    let folder = TempDir::new().unwrap();
    let store = store(folder.path(), &(0..200).collect::<Vec<_>>(), Format::Megatron, 1000);
    let sampler = sampler(&store, Mode::Shuffle, (2, 10), true).unwrap();
    let loader = Loader::new(store, sampler, options(Dtype::Int64, Layout::RowsFirst, 2)).unwrap();
    let mut places = Vec::new();
    for position in [0, 1, 8, 9, 10] {
        loader.seek(position);
        loader.reset();
        places.push(loader.position());
    }
    assert_eq!(places, [0, 9, 9, 9, 18]);
}

#[test]
fn states_of_something_else_are_refused() {
    let folder = TempDir::new().unwrap();
    let store = store(folder.path(), &(0..1000).collect::<Vec<_>>(), Format::Megatron, 1000);
    let open = |mode, shape, seed| {
        let sampler = Sampler::new(1000, mode, seed, shape, 10, true, 0, 1).unwrap();
        Loader::new(store.clone(), sampler, options(Dtype::Int64, Layout::RowsFirst, 1)).unwrap()
    };
    let loader = open(Mode::Shuffle, 4, 1);
    loader.seek(30);
    let state = loader.state(1).unwrap();
    assert!(open(Mode::Shuffle, 4, 1).load_state(&state, 1).is_ok());
    for (other, fingerprint, word) in [
        (open(Mode::Shuffle, 4, 1), 2, "other data"),
        (open(Mode::Sequential, 4, 1), 1, "mode"),
        (open(Mode::Shuffle, 3, 1), 1, "batch_size"),
        (open(Mode::Shuffle, 4, 2), 1, "seed"),
    ] {
        let error = other.load_state(&state, fingerprint).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
        assert_eq!(other.position(), 0, "a refused state moves nothing");
    }
    for (from, to) in [
        ("\"batch\":6", "\"batch\":25"),
        ("\"batch\":6", "\"batch\":-1"),
        ("\"epoch\":1", "\"epoch\":18446744073709551615"),
        ("\"version\":1", "\"version\":2"),
        ("\"epoch\"", "\"epochs\""),
        ("\"seq_len\":10", "\"seq_len\":11"),
        ("{", "["),
    ] {
        assert!(state.contains(from), "{state}");
        assert!(loader.load_state(&state.replacen(from, to, 1), 1).is_err(), "{from} -> {to}");
    }
}

#[test]
fn a_state_has_at_most_256_bytes() {
    let state = State {
        version: VERSION,
        fingerprint: format!("{:032x}", u128::MAX),
        mode: Mode::Sequential.name().to_owned(),
        seq_len: 1 << 40,
        batch_size: 1 << 40,
        seed: u64::MAX,
        epoch: 1 << 40,
        batch: 1 << 40,
    };
    // Python's json.dumps puts a space after each of the 15 marks between names and values.
    assert!(serde_json::to_string(&state).unwrap().len() + 15 <= 256);
}

#[test]
fn ids_too_large_for_the_batches_are_refused() {
    let folder = TempDir::new().unwrap();
    let mut tokens: Vec<i64> = (0..100).collect();
    tokens[55] = 1 << 31;
    let wide = store(folder.path(), &tokens, Format::LlmC, 1 << 32);
    assert_eq!(wide.token_type(), TokenType::Uint32);
    let sampler = sampler(&wide, Mode::Sequential, (1, 10), true).unwrap();
    assert!(Loader::new(wide.clone(), sampler.clone(), options(Dtype::Uint16, Layout::RowsFirst, 1)).is_err());
    for threads in 1..4 {
        let loader =
            Loader::new(wide.clone(), sampler.clone(), options(Dtype::Int32, Layout::RowsFirst, threads)).unwrap();
        for _ in 0..5 {
            next::<i32>(&loader, Layout::RowsFirst);
        }
        for _ in 0..2 {
            let error = loader.next(9, (0, 1), PATIENT).unwrap_err().to_string();
            assert!(error.contains("token 55 is 2147483648"), "{error}");
        }
        loader.seek(6);
        next::<i32>(&loader, Layout::RowsFirst);
    }
}

#[test]
fn held_batches_are_left_alone() {
    let folder = TempDir::new().unwrap();
    let store = store(folder.path(), &(0..2000).collect::<Vec<_>>(), Format::Megatron, 2000);
    let sampler = sampler(&store, Mode::Shuffle, (4, 16), true).unwrap();
    let loader = Loader::new(store, sampler, options(Dtype::Uint16, Layout::RowsFirst, 3)).unwrap();
    let held: Vec<(Batch, Vec<u16>)> = (0..40)
        .map(|_| {
            let batch = loader.next(u64::MAX, (0, 1), PATIENT).unwrap().unwrap();
            let copy = batch.split::<u16>().0.to_vec();
            (batch, copy)
        })
        .collect();
    assert!(held.iter().all(|(batch, copy)| batch.split::<u16>().0 == copy));
    let addresses: std::collections::BTreeSet<_> =
        held.iter().map(|(batch, _)| batch.split::<u16>().0.as_ptr()).collect();
    assert_eq!(addresses.len(), 40, "two held batches share memory");
}
