"""The version of the distribution, in one place."""

__version__: str = "0.15.0"
