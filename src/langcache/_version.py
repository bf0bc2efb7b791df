"""The version of the package."""

__version__: str = "0.15.0"
