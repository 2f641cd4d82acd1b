"""Texts and figures of a pull, push, save or load.

Docker has many words for the state of a layer; here they become few and plain ones. Next:
`desktop/widgets/transfer.py`, which draws them.
"""

from desktop.i18n.text import percent, plural, size, tr
from engine.docker.types import LayerProgress, TransferProgress

OVER = ("Pull complete", "Already exists", "Layer already exists", "Pushed", "Mounted from")
FETCHED = ("Download complete", "Verifying Checksum")


def is_over(layer: LayerProgress) -> bool:
    return layer.status.startswith(OVER)


def share(layer: LayerProgress) -> float:
    """How far a layer is, 0.0 … 1.0."""
    if is_over(layer) or layer.status.startswith(FETCHED):
        return 1.0
    return min(1.0, layer.done / layer.total) if layer.total else 0.0


def word(layer: LayerProgress) -> str:
    """What happens to a layer."""
    if is_over(layer):
        return tr("done")
    words = {
        "Waiting": tr("waiting"),
        "Preparing": tr("waiting"),
        "Pulling fs layer": tr("waiting"),
        "Downloading": tr("downloading"),
        "Verifying Checksum": tr("checking"),
        "Download complete": tr("downloaded"),
        "Extracting": tr("unpacking"),
        "Pushing": tr("uploading"),
    }
    if layer.status.startswith("Retrying"):
        return tr("retrying")
    return words.get(layer.status, layer.status)


def note(progress: TransferProgress) -> str:
    """The whole in one line."""
    layers = progress.layers
    if not layers:
        return progress.status
    if len(layers) == 1 and not layers[0].id:  # bytes of a file, and not layers
        return amount(layers[0])
    over = sum(map(is_over, layers))
    return plural("{over} of %n layers", "{over} of %n layer", len(layers), over=over)


def amount(layer: LayerProgress) -> str:
    if not layer.total:
        return size(layer.done)
    return tr("{done} of {total}", done=size(layer.done), total=size(layer.total))


def headline(title: str, progress: TransferProgress | None) -> str:
    """A title with the share of the bytes that are known."""
    fraction = progress.fraction if progress else None
    return title if fraction is None else f"{title} · {percent(fraction, 0)}"


def most_alive(progress: TransferProgress, most: int) -> tuple[LayerProgress, ...]:
    """At most so many layers, in their order, those that are over left out first."""
    layers = progress.layers
    if len(layers) <= most:
        return layers
    wanted = sorted(range(len(layers)), key=lambda place: is_over(layers[place]))[:most]
    return tuple(layers[place] for place in sorted(wanted))
