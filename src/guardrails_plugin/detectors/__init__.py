"""One detector a file; `registry.KINDS["detectors"]` is the table of them, ``data/*.toml`` their pattern rows."""
