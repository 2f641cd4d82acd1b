"""Messages about guest images that others built: feeds, downloads, signatures, exported files."""

from vm.messages import Message

DOWNLOAD_BAD_ADDRESS = Message(
    "download.bad_address",
    "{address} is no address that Galley can read.",
    "Use an address that begins with https:// or file:, or the full path of a folder.",
)
DOWNLOAD_CERTIFICATE = Message(
    "download.certificate",
    "The certificate of {address} is not trusted: {reason}.",
    "Behind a proxy that decrypts connections, add its certificate authority to those that this "
    "computer trusts, or name it in SSL_CERT_FILE. Check the date of this computer, too.",
)
DOWNLOAD_CUT_OFF = Message(
    "download.cut_off",
    "The connection to {address} ended after {done} bytes.",
    "Try again: the download continues there.",
)
DOWNLOAD_FAILED = Message(
    "download.failed",
    "{address} cannot be reached: {reason}.",
    "Check the network connection, and Galley's proxy in the settings.",
)
DOWNLOAD_HAS_LOGIN = Message(
    "download.has_login",
    "The address has a user name or a password, which Galley does not send.",
    "Use an address without them.",
)
DOWNLOAD_INSECURE = Message(
    "download.insecure",
    "{address} is not encrypted.",
    "Use an address that begins with https://.",
)
DOWNLOAD_NOT_READ = Message(
    "download.not_read",
    "{address} cannot be read: {reason}.",
    "Check that the folder is there and, for a share, that it is mounted.",
)
DOWNLOAD_NO_FILE = Message("download.no_file", "it is no file")
DOWNLOAD_OTHER_CONTENT = Message(
    "download.other_content",
    "{address} is not the file that the feed lists: its SHA-256 digest differs.",
    "Try again later. If it stays so, the copy on that server is damaged.",
)
DOWNLOAD_OTHER_SIZE = Message(
    "download.other_size",
    "{address} is not the file that the feed lists: its size is not {expected} bytes.",
    "Try again later. If it stays so, the copy on that server is damaged.",
)
DOWNLOAD_READING = Message("download.reading", "Reading {address}")
DOWNLOAD_REDIRECTED = Message(
    "download.redirected",
    "{address} redirects to an address that is not encrypted: {target}.",
    "Use the feed's final address.",
)
DOWNLOAD_RUNNING = Message(
    "download.running", "Downloading the guest image: {done:size} of {total:size}"
)
DOWNLOAD_SILENT = Message(
    "download.silent",
    "{address} does not answer.",
    "Check the network connection, and Galley's proxy in the settings.",
)
DOWNLOAD_STATUS = Message(
    "download.status",
    "The server answers {status} ({reason}) for {address}.",
    "Check the feed's address and, behind a proxy, its login.",
)
DOWNLOAD_TOO_LARGE = Message(
    "download.too_large",
    "{address} has more than the {limit} bytes that Galley reads.",
    "Check the feed's address.",
)
DOWNLOAD_TOO_SLOW = Message(
    "download.too_slow",
    "{address} sends less than {slowest} bytes a second.",
    "Try again: a download of an image continues where it ended.",
)

EXPORTED_BAD_LIST = Message("exported.bad_list", "its manifest lists other parts than images have")
EXPORTED_BAD_NAME = Message("exported.bad_name", "its manifest has the {name} {value}")
EXPORTED_CUT_OFF = Message("exported.cut_off", "it ends too early")
EXPORTED_DAMAGED = Message(
    "exported.damaged",
    "{file} does not hold a sound guest image: {reason}.",
    "Copy or export it again.",
)
EXPORTED_MEMBER_CHANGED = Message("exported.member_changed", "the content of {name} has changed")
EXPORTED_NOT_READ = Message("exported.not_read", "{file} cannot be read: {reason}.")
EXPORTED_NOT_REGULAR = Message("exported.not_regular", "{name} in it is not a regular file")
EXPORTED_NO_GZIP = Message("exported.no_gzip", "it is not compressed by gzip, or damaged")
EXPORTED_NO_TAR = Message("exported.no_tar", "it is no tar archive, or damaged")
EXPORTED_OTHER_MEMBER = Message("exported.other_member", "it has {name} in the place of {expected}")
EXPORTED_OTHER_SIZE = Message(
    "exported.other_size", "{name} in it has {size} bytes instead of {expected}"
)
EXPORTED_TOO_LARGE = Message("exported.too_large", "{name} in it has {size} bytes")
EXPORTED_TRAILING = Message("exported.trailing", "something follows its end")

FEED_BAD_CVE = Message(
    "feed.bad_cve", "{value} is not the id of a CVE.", "Use ids such as CVE-2026-12345."
)
FEED_EXPIRED = Message(
    "feed.expired",
    "The image feed {address} expired on {date}.",
    "Check the date of this computer. If it is right, the feed has to be published again.",
)
FEED_FROM_FUTURE = Message(
    "feed.from_future",
    "The image feed {address} is from the future: {date}.",
    "Check the date of this computer.",
)
FEED_NO_KEY = Message(
    "feed.no_key",
    "There is no key to check the feed {address} with.",
    "Set the key of its owner: galley settings set image_feed_signer RW…",
)
FEED_NOTHING = Message(
    "feed.nothing",
    "{address} has no image of channel {channel} for {arch} and this version of Galley.",
    "Update Galley, or use the feed of this version.",
)
FEED_NEWER_FORMAT = Message(
    "feed.newer_format",
    "The image feed {address} has format {format}; this Galley reads {expected}.",
    "Install a newer Galley.",
)
FEED_OLDER = Message(
    "feed.older",
    "The image feed's newest image is of {date}, older than the installed one of {installed}.",
    "The installed image stays in use. Check the feed's address.",
)
FEED_OLD_INDEX = Message(
    "feed.old_index",
    "The serial number of {file} cannot be read: {reason}.",
    "Remove the file, and use a number that is higher than all that were published.",
)
FEED_OTHER_IMAGE = Message(
    "feed.other_image",
    "{file} is not the image that the feed lists: its {name} is {found}, not {expected}.",
    "The feed has to be published again.",
)
FEED_REPLAYED = Message(
    "feed.replayed",
    "The image feed {address} is older than before: its serial number is {serial}, after {seen}.",
    "Try again later: a copy of the feed may be behind. If it stays so, check its address.",
)
FEED_SERIAL_USED = Message(
    "feed.serial_used",
    "The index in {folder} has the serial number {seen}; {serial} is not higher.",
    "Use --serial {least}.",
)
FEED_UNREADABLE = Message(
    "feed.unreadable",
    "The index of the image feed {address} cannot be read: {reason}.",
    "The feed has to be published again.",
)

IMAGE_EXPORTING = Message(
    "image.exporting", "Exporting the guest image: {done:size} of {total:size}"
)
IMAGE_FROM_FUTURE = Message(
    "image.from_future",
    "The guest image in {file} is from the future: {date}.",
    "Check the date of this computer.",
)
IMAGE_IMPORTING = Message(
    "image.importing", "Unpacking the guest image: {done:size} of {total:size}"
)
IMAGE_NEWER_FORMAT = Message(
    "image.newer_format",
    "A newer Galley made the guest image in {file}: its format is {format}, not {expected}.",
    "Install a newer Galley, or export the image with this one.",
)
IMAGE_OTHER_ARCH = Message(
    "image.other_arch",
    "The guest image in {file} is for {arch}; this computer runs {expected}.",
    "Use an image for {expected}.",
)
IMAGE_OTHER_RECIPE = Message(
    "image.other_recipe",
    "The guest image in {file} is for the Galley with recipe {recipe}; this one has {expected}.",
    "Use an image that the same version of Galley has exported.",
)

SIGNATURE_BAD_KEY = Message(
    "signature.bad_key",
    "{key} is not a public key of minisign.",
    "Use the second line of its file, which begins with RW.",
)
SIGNATURE_MALFORMED = Message(
    "signature.malformed",
    "The image feed's signature is not one of minisign.",
    "Check the feed's address. Behind it has to be index.json.minisig.",
)
SIGNATURE_UNKNOWN_KEY = Message(
    "signature.unknown_key",
    "The image feed is signed by the key {key}, which is not among the trusted ones.",
    "Check the feed's address and the keys in the settings.",
)
SIGNATURE_WRONG = Message(
    "signature.wrong",
    "The image feed's signature by the key {key} does not match: the feed has been altered.",
    "Try again: the feed may have been published at this moment. If it stays so, do not use it.",
)

TRANSFER_NOT_WRITTEN = Message(
    "transfer.not_written",
    "{path} cannot be written: {reason}.",
    "Check the folder and its permissions.",
)
TRANSFER_NO_ROOM = Message(
    "transfer.no_room",
    "The guest image needs {needed:size}, and {free:size} are free.",
    "Free some space on the disk that holds {folder}.",
)
