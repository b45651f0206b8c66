"""The wire format of Pangea AI Guard; `product` puts its routes together."""
