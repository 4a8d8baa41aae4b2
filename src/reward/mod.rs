//! One reward model: ONNX Runtime sessions, features, heads.
