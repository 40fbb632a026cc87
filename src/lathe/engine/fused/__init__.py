"""The fused step: loss and gradients of a Llama-like model on the CPU, of adapters or all weights, written out by hand."""
