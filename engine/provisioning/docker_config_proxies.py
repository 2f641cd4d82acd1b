"""The proxies in docker's config.json, for Galley's endpoint only, so that builds use them.

Programs in a build get their proxies from the client, as build arguments; no engine can add them.
docker, buildx and compose read them from `proxies`, for each engine by its endpoint. Next:
`proxies.py`.
"""

from typing import Any

from engine.dockercli import config_json, context
from engine.provisioning.proxies import Proxies
from vm.host.paths import Home


def follow(home: Home, proxies: Proxies) -> None:
    """Bring docker's file to `proxies`. Raises HostError when it cannot be used."""
    ours = context.endpoint(home)
    wanted = proxies.named("httpProxy", "httpsProxy", "noProxy")

    def edit(config: dict[str, Any]) -> None:
        listed = config.get("proxies")
        found = listed if isinstance(listed, dict) else {}
        if found.get(ours, {}) == wanted:
            return
        rest = {name: entry for name, entry in found.items() if name != ours}
        config["proxies"] = rest | ({ours: wanted} if wanted else {})
        if not config["proxies"]:
            del config["proxies"]

    config_json.change(edit)
