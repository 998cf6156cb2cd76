//! N-gram counts and Kneser-Ney language models over token ids.
