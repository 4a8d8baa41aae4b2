//! ONNX graphs as data: read, write, build, and lower training operators. Knows nothing of ONNX Runtime.
