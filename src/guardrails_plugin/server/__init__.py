"""The engine over HTTP; needs the extra ``server``."""
