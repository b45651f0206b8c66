"""Keys, format-preserving encryption and the token that turns encrypted values back."""
