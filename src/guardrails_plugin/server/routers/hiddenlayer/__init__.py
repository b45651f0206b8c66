"""The wire format of HiddenLayer; `product` puts its routes together."""
