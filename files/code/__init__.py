"""Other people's source code: read, followed and packed as text and syntax trees; nothing of it ever runs."""
