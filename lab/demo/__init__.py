"""The demonstration: text, tokenizer, model, artifact and score in one folder."""
