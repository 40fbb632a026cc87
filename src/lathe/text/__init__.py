"""Text without torch: tokenizer, chat template in a sandbox, rendering to token ids and supervision."""
