"""HTTP: from bytes to a request, and from a response to bytes.

Nothing here knows a cache or a test control.
"""
