"""What a server knows and does, without HTTP."""
