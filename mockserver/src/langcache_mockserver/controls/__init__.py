"""The test controls: clock, faults, journal, recording and state, in Python and over HTTP."""
