"""The proxies in docker's own config.json, under our endpoint alone: so that builds have them.

What runs in a build gets its proxies from the client, by arguments of the build, and no engine can
add them. docker, buildx and compose read them under `proxies`, for each engine by its endpoint.
May import: `docker_config`, `context`, `proxy`, `vm`. Next: `proxy.py`.
"""

from engine import context, docker_config
from engine.proxy import Proxies
from vm.host.paths import Home


def follow(home: Home, proxies: Proxies) -> None:
    """Bring docker's file to `proxies`. Raises HostError when it cannot be used."""
    config = docker_config.read()
    listed = config.get("proxies")
    found = listed if isinstance(listed, dict) else {}
    ours = context.endpoint(home)
    wanted = proxies.named("httpProxy", "httpsProxy", "noProxy")
    if found.get(ours, {}) == wanted:
        return
    rest = {name: entry for name, entry in found.items() if name != ours}
    all_of_them = rest | ({ours: wanted} if wanted else {})
    config["proxies"] = all_of_them
    if not all_of_them:
        del config["proxies"]
    docker_config.write(config)
