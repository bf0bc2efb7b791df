"""The planes of the API, one file each: they join HTTP with what the server knows and does."""
