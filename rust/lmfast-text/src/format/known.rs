//! Rank files that are known by their content.
//!
//! Patterns and special tokens are those of `tiktoken`'s `openai_public.py`, Meta's `llama3/tokenizer.py` and Qwen's
//! `tokenization_qwen.py`.

use super::tiktoken::Ranks;

/// How a known vocabulary is cut, and its special tokens.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// The name of the [pattern](crate::split::named).
    pub(crate) pattern: &'static str,
    pub(crate) special_tokens: Vec<(String, u32)>,
}

/// The vocabulary behind ranks; `name`, a file's, tells apart those of equal ranks.
pub(crate) fn find(ranks: &Ranks, name: &str) -> Option<Known> {
    let at = |tokens: &[(&str, u32)]| tokens.iter().map(|&(token, id)| (token.to_owned(), id)).collect::<Vec<_>>();
    let (pattern, special_tokens) = match (ranks.iter().len(), digest(ranks)) {
        (50_256, 0xe84d_b5c6_4bce_d13c) | (50_280, 0x6616_baf4_bf77_8c00) => ("gpt2", at(&[("<|endoftext|>", 50_256)])),
        (100_256, 0x31ef_14b1_712d_b7c4) => (
            "cl100k",
            at(&[
                ("<|endoftext|>", 100_257),
                ("<|fim_prefix|>", 100_258),
                ("<|fim_middle|>", 100_259),
                ("<|fim_suffix|>", 100_260),
                ("<|endofprompt|>", 100_276),
            ]),
        ),
        (199_998, 0x18d0_51ce_f189_4e54) if name.starts_with("o200k_harmony") => ("o200k", harmony()),
        (199_998, 0x18d0_51ce_f189_4e54) => ("o200k", at(&[("<|endoftext|>", 199_999), ("<|endofprompt|>", 200_018)])),
        (128_000, 0x2e50_c684_8e76_5cc7) => ("llama3", llama3()),
        (151_643, 0xd349_3e0c_07b7_90a4) => ("qwen2", qwen()),
        _ => return None,
    };
    Some(Known { pattern, special_tokens })
}

/// FNV-1a over the bytes of each token and its rank, little-endian, in the order of ranks.
fn digest(ranks: &Ranks) -> u64 {
    let mut digest = 0xcbf2_9ce4_8422_2325_u64;
    for (rank, token) in ranks.iter() {
        for &byte in token.iter().chain(&rank.to_le_bytes()) {
            digest = (digest ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
    digest
}

fn harmony() -> Vec<(String, u32)> {
    let named = [
        ("<|startoftext|>", 199_998),
        ("<|endoftext|>", 199_999),
        ("<|return|>", 200_002),
        ("<|constrain|>", 200_003),
        ("<|channel|>", 200_005),
        ("<|start|>", 200_006),
        ("<|end|>", 200_007),
        ("<|message|>", 200_008),
        ("<|call|>", 200_012),
        ("<|endofprompt|>", 200_018),
    ];
    let mut tokens: Vec<(String, u32)> = named.iter().map(|&(token, id)| (token.to_owned(), id)).collect();
    let is_named = |id: u32| named.iter().any(|&(_, other)| other == id);
    // 200018 has two names there, and the reserved one comes last: it is not given here, for ids name one token.
    let reserved = (200_000..201_088).filter(|&id| !is_named(id));
    tokens.extend(reserved.map(|id| (format!("<|reserved_{id}|>"), id)));
    tokens
}

fn llama3() -> Vec<(String, u32)> {
    let named = [
        "<|begin_of_text|>",
        "<|end_of_text|>",
        "<|reserved_special_token_0|>",
        "<|reserved_special_token_1|>",
        "<|reserved_special_token_2|>",
        "<|reserved_special_token_3|>",
        "<|start_header_id|>",
        "<|end_header_id|>",
        "<|reserved_special_token_4|>",
        "<|eot_id|>",
    ];
    let reserved = (5..251).map(|number| format!("<|reserved_special_token_{number}|>"));
    named.iter().map(|token| (*token).to_owned()).chain(reserved).zip(128_000..).collect()
}

fn qwen() -> Vec<(String, u32)> {
    let named = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"].map(str::to_owned);
    named.into_iter().chain((0..205).map(|number| format!("<|extra_{number}|>"))).zip(151_643..).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_tokens_are_as_many_as_the_vendors_give() {
        assert_eq!((llama3().len(), llama3()[255].1), (256, 128_255));
        assert_eq!(qwen().last(), Some(&("<|extra_204|>".to_owned(), 151_850)));
        let harmony = harmony();
        assert_eq!(harmony.len(), 2 + 1088);
        assert!(harmony.contains(&("<|reserved_200013|>".to_owned(), 200_013)));
    }

    #[test]
    fn other_ranks_are_not_known() {
        let ranks = Ranks::parse(b"IQ== 0\n").expect("is well-formed");
        assert_eq!(find(&ranks, "cl100k_base.tiktoken"), None);
        assert_eq!(digest(&Ranks::default()), 0xcbf2_9ce4_8422_2325);
    }
}
