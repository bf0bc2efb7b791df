"""LangCache in other libraries: one package for each, which imports its library when imported."""
