//! From training dynamics to calibrated tags: pure statistics.
