"""Questions that one run does not answer, one command each: variants of a model or of the data, scored beside each other."""
