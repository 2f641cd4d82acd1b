"""The guest image in one line: how old its packages are, and what is known of newer ones."""

from datetime import UTC, datetime

from desktop.i18n.text import plural, tr
from engine.types import ImageStatus


def image_words(image: ImageStatus) -> str:
    days = max((datetime.now(UTC) - datetime.fromisoformat(image.date)).days, 0)
    age = plural("%n days old", "%n day old", days)
    parts = [image.channel, tr("packages of {date} ({age})", date=image.date[:10], age=age)]
    if image.waiting:
        parts.append(tr("the next cold start uses those of {date}", date=image.waiting[:10]))
    elif image.cves:
        parts.append(
            plural(
                "%n known CVEs are fixed by an update",
                "%n known CVE is fixed by an update",
                len(image.cves),
            )
        )
    elif image.updates:
        parts.append(plural("%n newer packages", "%n newer package", image.updates))
    return " · ".join(parts)
