//! Both models over epochs: training dynamics and checkpoints.
