//! Token stores and the loader that makes batches of them.
