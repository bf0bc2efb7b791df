"""LangCache inside other libraries: one module each, which imports its library when imported."""
