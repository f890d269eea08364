"""Networks that are ONNX files: read into layers, run by onnxruntime, joined again into one file a part."""
