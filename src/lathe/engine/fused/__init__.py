"""The fused step: loss and LoRA gradients of a Llama-like model on the CPU, written out by hand, block by block."""
