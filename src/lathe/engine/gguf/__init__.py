"""GGUF, the file format of llama.cpp: a trained model written as one file, and what such a file says about itself."""
