"""One file for each plane of the API."""
