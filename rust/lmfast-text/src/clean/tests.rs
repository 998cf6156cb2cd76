use super::*;
use proptest::prelude::*;

fn clean(texts: &[String], cleaning: &Cleaning, size: usize, threads: usize) -> (Vec<String>, Report) {
    let batches: Vec<Result<Documents>> = texts.chunks(size).map(|texts| Ok(texts.iter().collect())).collect();
    let control = Control::default();
    let mut cleaner = Cleaner::new(batches.into_iter(), cleaning.clone(), Some(threads), &control).unwrap();
    let kept = cleaner.by_ref().flat_map(|batch| batch.unwrap().iter().map(str::to_owned).collect::<Vec<_>>());
    (kept.collect(), cleaner.report().clone())
}

fn one(text: &str, cleaning: &Cleaning) -> String {
    clean(&[text.to_owned()], cleaning, 1, 1).0.concat()
}

#[test]
fn each_rule() {
    let none = Cleaning::default();
    assert_eq!(
        one("e\u{301} \u{fb01}", &Cleaning { normalization: Some(Form::Nfc), ..none.clone() }),
        "\u{e9} \u{fb01}"
    );
    assert_eq!(one("\u{fb01}", &Cleaning { normalization: Some(Form::Nfkc), ..none.clone() }), "fi");
    assert_eq!(one("a\0\t\u{85}b\u{7f}\n", &Cleaning { drop_control_characters: true, ..none.clone() }), "a\tb\n");
    assert_eq!(one("\u{e9}\u{e0}o", &Cleaning { strip_accents: true, ..none.clone() }), "eao");
    assert_eq!(one("\u{c9}A", &Cleaning { lowercase: true, ..none.clone() }), "\u{e9}a");
    assert_eq!(one(" a \t b\r\n c\n\n\n d ", &Cleaning { collapse_whitespace: true, ..none.clone() }), " a b\nc\n\nd ");
    assert_eq!(one(" a  b ", &Cleaning { trim: true, ..none.clone() }), "a  b");
    let bounds = Cleaning { min_characters: 2, max_characters: Some(3), ..none };
    let texts = ["a", "\u{e9}\u{e9}", "abc", "abcd"].map(str::to_owned);
    let (kept, report) = clean(&texts, &bounds, 2, 1);
    assert_eq!(kept, texts[1..3]);
    assert_eq!((report.too_short, report.too_long, report.documents_in, report.documents_out), (1, 1, 4, 2));
}

#[test]
fn the_result_has_the_form_asked_for() {
    for (text, cleaning, expected) in [
        ("e\0\u{301}", Cleaning { drop_control_characters: true, ..Cleaning::default() }, "\u{e9}"),
        ("J\u{30c}", Cleaning { lowercase: true, ..Cleaning::default() }, "\u{1f0}"),
        ("a@b.org\u{338}", Cleaning { mask: vec![Mask::Email], ..Cleaning::default() }, "<EMAIL\u{226f}"),
    ] {
        for form in [Form::Nfc, Form::Nfkc] {
            assert_eq!(one(text, &Cleaning { normalization: Some(form), ..cleaning.clone() }), expected);
        }
    }
    let cleaning = Cleaning { normalization: Some(Form::Nfkc), lowercase: true, ..Cleaning::default() };
    let characters: Vec<String> = ('\0'..='\u{1ffff}').map(String::from).collect();
    let (found, _) = clean(&characters, &cleaning, 10_000, 2);
    for (text, found) in characters.iter().zip(&found) {
        assert_eq!(found.to_lowercase(), *found, "{text:?}");
    }
}

#[test]
fn options_that_cannot_be() {
    let control = Control::default();
    let near = |near| Cleaning { drop_near_duplicates: Some(near), ..Cleaning::default() };
    for cleaning in [
        near(NearOptions { threshold: f64::NAN, ..NearOptions::default() }),
        near(NearOptions { ngram: 0, ..NearOptions::default() }),
        near(NearOptions { permutations: 0, ..NearOptions::default() }),
        Cleaning { min_characters: 3, max_characters: Some(2), ..Cleaning::default() },
    ] {
        assert!(Cleaner::new(std::iter::empty(), cleaning, None, &control).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn threads_and_batches_change_nothing(texts in proptest::collection::vec("\\PC{0,12}|[ab ]{0,3}|[Jje\u{0}\u{30c}\u{301} ]{0,6}", 0..60), size in 1usize..20) {
        let cleaning = Cleaning {
            normalization: Some(Form::Nfkc),
            drop_control_characters: true,
            strip_accents: true,
            lowercase: true,
            collapse_whitespace: true,
            trim: true,
            mask: Mask::ALL.to_vec(),
            drop_exact_duplicates: true,
            drop_near_duplicates: Some(NearOptions::default()),
            ..Cleaning::default()
        };
        let (kept, report) = clean(&texts, &cleaning, size, 3);
        prop_assert_eq!(&(kept.clone(), report.clone()), &clean(&texts, &cleaning, 1000, 1));
        prop_assert_eq!(report.documents_in - report.exact_duplicates - report.near_duplicates, kept.len() as u64);
        let distinct: std::collections::BTreeSet<_> = kept.iter().collect();
        prop_assert_eq!(distinct.len(), kept.len());
        prop_assert!(kept.iter().all(|text| unicode_normalization::is_nfkc(text)));
    }

    #[test]
    fn no_option_changes_nothing(texts in proptest::collection::vec(any::<String>(), 0..20)) {
        prop_assert_eq!(clean(&texts, &Cleaning::default(), 3, 2).0, texts);
    }
}
