//! Which pairs a model trains on: pure functions over margins.
