"""One call, from arguments to a model or an error. Private: public names live one level up."""
