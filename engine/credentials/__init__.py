"""Registry logins and proxy passwords in the system's keyring."""
