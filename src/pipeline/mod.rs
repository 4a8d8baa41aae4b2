//! Run files, and the stages of a run in order.
