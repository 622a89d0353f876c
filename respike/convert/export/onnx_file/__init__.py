"""A converted network as an ONNX file: one step as a function, traced, and the loop around it."""
