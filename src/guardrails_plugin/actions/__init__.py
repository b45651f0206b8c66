"""One action a file; `registry.KINDS["actions"]` is the table of them."""
