"""Out again: an artifact's model as other programs want it, a Hugging Face folder or a GGUF file."""
