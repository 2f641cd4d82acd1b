"""The guest image in words: how old its packages are, and what is known of newer ones."""

from datetime import UTC, datetime

from desktop.i18n.text import plural, tr
from engine.types import ImageStatus


def image_age(image: ImageStatus) -> str:
    """Its channel, the date of its packages, and their age."""
    days = max((datetime.now(UTC) - datetime.fromisoformat(image.date)).days, 0)
    age = plural("%n days old", "%n day old", days)
    return f"{image.channel} · {image.date[:10]} ({age})"


def image_checked(image: ImageStatus) -> str:
    """When newer packages were looked for; empty if they never were."""
    return tr("Checked on {date}.", date=image.checked[:10]) if image.checked else ""


def image_news(image: ImageStatus) -> str:
    """A sentence; empty if nothing newer is known."""
    if image.waiting:
        return tr("The next cold start uses the packages of {date}.", date=image.waiting[:10])
    if image.cves:
        return plural(
            "An update fixes %n known vulnerabilities.",
            "An update fixes %n known vulnerability.",
            len(image.cves),
        )
    if image.updates:
        return plural("%n newer packages", "%n newer package", image.updates)
    return ""
