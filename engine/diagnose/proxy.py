"""Does the proxy answer that the engine is to use?"""

from engine.diagnose.facts import Facts
from engine.provisioning import proxies as proxy
from engine.settings.store import SettingsStore
from vm.errors import Problem

TITLE = "The proxy answers"


def applies(facts: Facts) -> bool:
    proxies, unusable = proxy.wanted(SettingsStore(facts.home))
    return unusable is not None or bool(proxies.addresses)


def check(facts: Facts) -> Problem | None:
    proxies, unusable = proxy.wanted(SettingsStore(facts.home))
    for address in proxies.with_login:
        proxy.password(address)
    return unusable or proxy.why_down(proxies)
