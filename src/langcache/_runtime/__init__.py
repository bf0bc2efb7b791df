"""Carries out a call, from its arguments to a model or an exception. Private."""
