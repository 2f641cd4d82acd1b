"""A registry that requires a login, beside a test's dockerd and in its network namespace."""

import bcrypt

from tests.unit.engine.docker.registry import Registry

ADDRESS = "127.0.0.1:5002"
USER, PASSWORD = "bob", "the right one"

CONFIGURATION = """
version: 0.1
log: {{level: info}}
storage: {{filesystem: {{rootdirectory: "{folder}/private"}}}}
http: {{addr: "{address}"}}
auth: {{htpasswd: {{realm: private, path: "{folder}/htpasswd"}}}}
"""


class PrivateRegistry(Registry):
    """Accepts only USER with PASSWORD."""

    def start(self) -> None:
        hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
        (self._folder / "htpasswd").write_text(f"{USER}:{hashed}\n")
        config = self._folder / "private.yml"
        config.write_text(CONFIGURATION.format(folder=self._folder, address=ADDRESS))
        self._run("private.log", "listening on", "docker-registry", "serve", str(config))
