"""The wire format of CalypsoAI Defend; `product` puts its routes together."""
