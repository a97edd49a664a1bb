"""``trainer doctor``: what is wrong with the photographs, before an hour of training on them."""
