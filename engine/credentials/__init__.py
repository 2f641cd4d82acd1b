"""Logins of registries and the proxy's password, kept in the system's keyring."""
