"""From bytes to a request and back; knows no cache and no test control."""
