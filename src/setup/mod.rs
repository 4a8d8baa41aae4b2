//! Finds or fetches the ONNX Runtime library and the default models.
