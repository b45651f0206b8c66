"""The wire format of Project Rampart; `product` puts its routes together."""
