"""What opens a machine that somebody has: its address, its host key, a user's private key; checked before it is asked.

Each check raises `ValueError` with the key, the value (never that of a secret) and a remedy.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from ipaddress import ip_address

HOST_KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")
"""No RSA: Pulumi's command plug-in asks for a pinned RSA key by SHA-1, which sshd refuses since OpenSSH 8.8."""
USER_KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")

_HELPER = "`python -m pulumi_slipway.hostkey {address}` prints the keys that the machine shows, for you to compare"
_NAME = re.compile(
    r"(?=.{1,253}$)([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)
_USER = re.compile(r"[a-z_][a-z0-9_.-]{0,31}")
_OPENSSH = re.compile(r"-----BEGIN OPENSSH PRIVATE KEY-----\s+([A-Za-z0-9+/=\s]+)-----END OPENSSH PRIVATE KEY-----\s*")
_MAGIC = b"openssh-key-v1\0"
_ON_A_COPY = "on a copy of the file"
_GIVE = "pulumi config set --secret --path slipway:existing.private_key < FILE"


def check_address(key: str, value: str) -> str:
    """A host name or an IP address."""
    if _is_ip(value) or (_NAME.fullmatch(value) and not re.fullmatch(r"[\d.]+", value)):
        return value
    raise ValueError(
        f"{key}: {value!r} is no address; give an IP address or a host name, without user, port or ssh:// "
        "(port and user are settings of their own)"
    )


def check_user(key: str, value: str) -> str:
    if not _USER.fullmatch(value):
        raise ValueError(f"{key}: {value!r} is no name of a user; give the one who logs in and may sudo, such as admin")
    return value


def parse_host_key(key: str, value: str | None, address: str = "ADDRESS") -> str:
    """The type and the base64 of a host key, from a line of authorized_keys, of a .pub file or of ssh-keyscan."""
    helper = _HELPER.format(address=address)
    if value is None or not value.strip():
        raise ValueError(f"{key}: missing; nothing is ever sent to a machine whose key is not known: {helper}")
    if "PRIVATE KEY" in value:
        raise ValueError(f"{key}: this is a private key; give the public host key of the machine: {helper}")
    lines = [line for line in value.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if len(lines) != 1:
        raise ValueError(f"{key}: {len(lines)} lines are given; one key is wanted, best the one of type ssh-ed25519")
    shown = repr(lines[0][:60])
    if "SHA256:" in value or "MD5:" in value:
        raise ValueError(f"{key}: {shown} is a fingerprint; the key itself is wanted, to check it with: {helper}")
    words = lines[0].split()
    if words[0].startswith("@"):
        raise ValueError(f"{key}: {shown} is a certificate authority or a revoked key; give the machine's own key")
    if len(words) > 1 and not _is_type(words[0]):  # ssh-keyscan and known_hosts have the host's name in front
        words = words[1:]
    if not _is_type(words[0]) or len(words) < 2:
        raise ValueError(f"{key}: {shown} is no host key; give a line such as 'ssh-ed25519 AAAAC3Nza…': {helper}")
    if words[0] not in HOST_KEY_TYPES:
        raise ValueError(
            f"{key}: a key of type {words[0]!r} cannot be pinned; take the machine's ssh-ed25519 or ecdsa key "
            f"(`sudo ssh-keygen -A` on the machine makes those that are missing): {helper}"
        )
    if _type_of(words[1]) != words[0]:
        raise ValueError(f"{key}: {shown} is damaged: its second part is no {words[0]} key; {helper}")
    return f"{words[0]} {words[1]}"


def check_private_key(key: str, text: str) -> str:
    """The private key as OpenSSH text that ends with a newline; it is never quoted."""
    text = text.replace("\r\n", "\n").strip() + "\n"
    _refuse_other_forms(key, text)
    match = _OPENSSH.fullmatch(text)
    blob = _decode(match[1]) if match else b""
    if not blob.startswith(_MAGIC):
        raise _damaged(key)
    cipher, kind = _openssh_header(blob)
    if cipher != "none":
        raise ValueError(
            f"{key}: (hidden) is encrypted with a passphrase, which nobody is there to type; set ssh_agent to true and "
            f"`ssh-add` it, or take the passphrase off {_ON_A_COPY}: ssh-keygen -p -N '' -f COPY"
        )
    if kind.startswith("sk-"):
        raise ValueError(f"{key}: (hidden) lives on a security token, which has to be touched; set ssh_agent to true")
    if kind not in USER_KEY_TYPES:
        raise ValueError(f"{key}: (hidden) is of type {kind!r}; give one of {', '.join(USER_KEY_TYPES)}")
    from ..ssh import SshError, load_private_key  # brings paramiko, which nothing else needs here

    try:
        load_private_key(text)
    except SshError:
        raise _damaged(key) from None
    return text


def _damaged(key: str) -> ValueError:
    return ValueError(
        f"{key}: (hidden) is damaged: between its first and last line it is not what ssh-keygen writes; give the whole "
        f"file, line breaks included: {_GIVE}"
    )


def _refuse_other_forms(key: str, text: str) -> None:
    first = text.split("\n", maxsplit=1)[0].strip()
    convert = f"convert {_ON_A_COPY}: ssh-keygen -p -N '' -f COPY"
    if re.match(r"(ssh-|ecdsa-|sk-)\S+ AAAA", first) or "PUBLIC KEY" in first:
        raise ValueError(f"{key}: this is a public key; give the private one (the file without .pub)")
    if first.startswith("PuTTY-User-Key-File"):
        raise ValueError(
            f"{key}: (hidden) is in PuTTY's form; convert it: puttygen FILE.ppk -O private-openssh-new -o COPY "
            "(or PuTTYgen, Conversions, Export OpenSSH key (force new file format))"
        )
    if "ENCRYPTED" in text:
        raise ValueError(
            f"{key}: (hidden) is encrypted with a passphrase, and in PEM form; set ssh_agent to true and `ssh-add` "
            f"it, or {convert}"
        )
    if "PRIVATE KEY" in first and "OPENSSH" not in first:
        raise ValueError(f"{key}: (hidden) is in PEM form ({first.strip('-').strip()}); {convert}")
    if "-----BEGIN OPENSSH PRIVATE KEY-----" not in first:
        raise ValueError(
            f"{key}: (hidden) is no private key; give the content of the file, not its name, beginning with "
            f"-----BEGIN OPENSSH PRIVATE KEY-----: {_GIVE}"
        )


def _openssh_header(blob: bytes) -> tuple[str, str]:
    """The cipher of a key file of OpenSSH, and the type of the key in it (PROTOCOL.key of OpenSSH tells the form)."""
    try:
        rest = blob[len(_MAGIC) :]
        cipher, rest = _string(rest)
        _, rest = _string(rest)  # the way from passphrase to key
        _, rest = _string(rest)  # its parameters
        public, _ = _string(rest[4:])  # after the number of keys
        kind, _ = _string(public)
    except (struct.error, ValueError):
        return "none", "unknown"
    return cipher.decode(errors="replace"), kind.decode(errors="replace")


def _string(data: bytes) -> tuple[bytes, bytes]:
    (length,) = struct.unpack(">I", data[:4])
    if len(data) < 4 + length:
        raise ValueError("cut short")
    return data[4 : 4 + length], data[4 + length :]


def _is_type(word: str) -> bool:
    return word.startswith(("ssh-", "ecdsa-", "sk-"))


def _type_of(text: str) -> str | None:
    """The type that a public key itself says it is of."""
    try:
        return _string(_decode(text))[0].decode()
    except (ValueError, struct.error, UnicodeDecodeError):
        return None


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _is_ip(value: str) -> bool:
    try:
        ip_address(value)
    except ValueError:
        return False
    return True
