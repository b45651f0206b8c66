"""One product a module, each with ``build(services) -> Product``; see `app.PRODUCTS`."""
