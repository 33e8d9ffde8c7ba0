from __future__ import annotations

import base64
import contextlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import command, keys
from harness.errors import KeyFileError

from .conftest import ROOT

# RFC 7748, section 6.1: private and public.
ALICE = (
    "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
    "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
)
BOB = (
    "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
    "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
)

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def base64_of(hexadecimal: str) -> str:
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.parametrize(("private", "public"), [ALICE, BOB], ids=["Alice", "Bob"])
def test_a_public_key_derives_as_rfc_7748_says(private: str, public: str) -> None:
    """The published test vectors of X25519 hold for our derivation."""
    assert keys.derive_public(base64_of(private)) == base64_of(public)


def test_generated_private_keys_are_clamped() -> None:
    """Every generated private key has the bits of RFC 7748, section 5, set and cleared, and no two are the same."""
    generated = [base64.b64decode(keys.generate_private()) for _ in range(200)]
    assert all(raw[0] & 7 == 0 and raw[31] & 0xC0 == 0x40 and len(raw) == 32 for raw in generated)
    assert len(set(generated)) == 200


def test_a_pairs_public_key_is_derived_never_generated() -> None:
    """`KeyPair.generate` gives the public key that belongs to its private one."""
    pair = keys.KeyPair.generate()
    assert pair.public == keys.derive_public(pair.private)
    assert pair.public != pair.private


def test_a_key_set_uses_every_key_once() -> None:
    """The five keys of a set are five different ones of 32 bytes."""
    values = list(keys.KeySet.generate().files().values())
    assert len(set(values)) == 5
    assert {len(keys.decode(value)) for value in values} == {32}


@given(st.binary(min_size=32, max_size=32))
def test_every_32_bytes_are_a_key(raw: bytes) -> None:
    """Decoding gives back the bytes of any key, and any of them can be a private one."""
    text = base64.b64encode(raw).decode()
    assert keys.decode(text) == raw
    assert len(keys.decode(keys.derive_public(text))) == 32


@given(
    st.one_of(
        st.text(alphabet="Aa0+/= \n!é中\0", max_size=60),
        st.binary().filter(lambda raw: len(raw) != 32).map(lambda raw: base64.b64encode(raw).decode()),
    )
)
def test_what_is_no_key_is_refused_without_being_shown(text: str) -> None:
    """A text that is not 32 bytes in base64 is refused, and the refusal never quotes it."""
    with pytest.raises(ValueError, match=r"^(is not base64|has \d+ bytes where a key has 32)$"):
        keys.decode(text)


def test_a_key_that_wg_would_refuse_is_refused() -> None:
    """The two bits of the last character that carry no key must be zero, as `wg` demands."""
    key = keys.generate_private()
    changed = f"{key[:42]}{ALPHABET[ALPHABET.index(key[42]) | 1]}="
    with pytest.raises(ValueError, match="last character"):
        keys.decode(changed)


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_no_representation_shows_a_secret(web: bytes, services: bytes, preshared: bytes) -> None:
    """Neither `repr` nor `str` of a pair or a set contains a private or the preshared key."""
    pairs = []
    for raw in (web, services):
        private = base64.b64encode(raw).decode()
        pairs.append(keys.KeyPair(private=private, public=keys.derive_public(private)))
    whole = keys.KeySet(web=pairs[0], services=pairs[1], preshared=base64.b64encode(preshared).decode())
    shown = f"{whole!r} {whole} {pairs} {[str(pair) for pair in pairs]}"
    assert whole.web.public in shown
    assert not [secret for secret in whole.secrets() if secret in shown]


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077], ids=oct)
def test_file_modes_do_not_depend_on_the_umask(tmp_path: Path, mask: int) -> None:
    """Private and preshared files are 0600 and public ones 0644, whatever the umask."""
    with umask(mask):
        keys.write(tmp_path / "keys", keys.KeySet.generate())
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "keys").iterdir()}
    assert modes == {
        "web-private.key": 0o600,
        "web-public.key": 0o644,
        "services-private.key": 0o600,
        "services-public.key": 0o644,
        "preshared.key": 0o600,
    }


def test_the_directory_is_its_owners_only(tmp_path: Path) -> None:
    """A key directory that is made anew can be entered by nobody else."""
    with umask(0):
        keys.write(tmp_path / "keys", keys.KeySet.generate())
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


def test_written_keys_are_read_back(tmp_path: Path) -> None:
    """What was written is what is read, and it is sound."""
    made = keys.KeySet.generate()
    keys.write(tmp_path, made)
    assert keys.read(tmp_path) == made
    assert keys.verify(tmp_path) == []


@pytest.mark.parametrize("name", keys.FILES)
def test_nothing_is_overwritten_unless_told(tmp_path: Path, name: str) -> None:
    """One file that is there already is enough: it is named, it stays as it is, and no other is written."""
    (tmp_path / name).write_text("precious\n", encoding="ascii")
    with pytest.raises(KeyFileError, match=name) as caught:
        keys.write(tmp_path, keys.KeySet.generate())
    assert "--force" in str(caught.value)
    assert contents(tmp_path) == {name: b"precious\n"}


def test_force_replaces_every_key_and_its_mode(key_directory: Path) -> None:
    """Told to overwrite, all five files are new, a mode that was too wide is narrowed, and no draft stays behind."""
    before = contents(key_directory)
    (key_directory / keys.WEB_PRIVATE).chmod(0o644)
    made = keys.KeySet.generate()
    keys.write(key_directory, made, overwrite=True)
    after = contents(key_directory)
    assert set(after) == set(before) == set(keys.FILES)
    assert not [name for name in keys.FILES if before[name] == after[name]]
    assert keys.verify(key_directory) == []
    assert keys.read(key_directory) == made


def test_a_failed_write_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    """A file is replaced as a whole or not at all: text that cannot be written leaves the old one untouched."""
    path = tmp_path / "web-private.key"
    keys.write_file(path, "old", mode=0o600)
    with pytest.raises(UnicodeEncodeError):
        keys.write_file(path, "new ü", mode=0o600)
    assert contents(tmp_path) == {"web-private.key": b"old\n"}


def test_a_symbolic_link_is_replaced_never_followed(tmp_path: Path) -> None:
    """A link in a key file's place does not lead the key into another file."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("untouched", encoding="ascii")
    link = tmp_path / "web-private.key"
    link.symlink_to(elsewhere)
    keys.write_file(link, "key", mode=0o600)
    assert not link.is_symlink()
    assert elsewhere.read_text(encoding="ascii") == "untouched"


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """Where a file stands in the directory's place, the refusal names it and the reason."""
    taken = tmp_path / "keys"
    taken.write_text("", encoding="ascii")
    with pytest.raises(KeyFileError, match=r"cannot write keys to [^:]*keys/x: Not a directory$"):
        keys.write(taken / "x", keys.KeySet.generate())
    with pytest.raises(KeyFileError, match=r"cannot write keys to .*keys: it is a file; name a folder"):
        keys.write(taken, keys.KeySet.generate())


def test_reading_names_what_is_missing(key_directory: Path) -> None:
    """A missing file is named with its path."""
    (key_directory / keys.PRESHARED).unlink()
    with pytest.raises(KeyFileError, match=r"preshared\.key: No such file"):
        keys.read(key_directory)


def truncated(path: Path) -> None:
    path.write_text(path.read_text(encoding="ascii")[:40], encoding="ascii")


def shorter(path: Path) -> None:
    path.write_text(base64.b64encode(bytes(31)).decode(), encoding="ascii")


def longer(path: Path) -> None:
    path.write_text(base64.b64encode(bytes(33)).decode(), encoding="ascii")


def not_base64(path: Path) -> None:
    path.write_text("!" * 44, encoding="ascii")


def empty(path: Path) -> None:
    path.write_text(" \n", encoding="ascii")


def binary(path: Path) -> None:
    path.write_bytes(bytes(range(128, 256)))


def missing(path: Path) -> None:
    path.unlink()


def a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("name", keys.FILES)
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (truncated, "has 30 bytes where a key has 32"),
        (shorter, "has 31 bytes where a key has 32"),
        (longer, "has 33 bytes where a key has 32"),
        (not_base64, "is not base64"),
        (empty, "is empty"),
        (binary, "is not text"),
        (missing, "No such file or directory"),
        (a_directory, "Is a directory"),
    ],
)
def test_verify_names_a_spoilt_file(key_directory: Path, name: str, spoil: Callable[[Path], None], says: str) -> None:
    """A file that holds no key is named with what is wrong, in one line, and nothing else is blamed."""
    spoil(key_directory / name)
    faults = keys.verify(key_directory)
    assert len(faults) == 1
    assert str(key_directory / name) in faults[0]
    assert says in faults[0]


@pytest.mark.parametrize(
    ("name", "private", "side"),
    [(keys.WEB_PUBLIC, keys.WEB_PRIVATE, "web"), (keys.SERVICES_PUBLIC, keys.SERVICES_PRIVATE, "services")],
)
def test_verify_names_a_public_key_that_was_generated(key_directory: Path, name: str, private: str, side: str) -> None:
    """A public key that does not derive from its private one is named, with the right one and the command for it."""
    right = (key_directory / name).read_text(encoding="ascii").strip()
    (key_directory / name).write_text(keys.generate_private(), encoding="ascii")
    faults = keys.verify(key_directory)
    assert len(faults) == 1
    assert f"{name} does not derive from {private}" in faults[0]
    assert f"the public key of {side} is {right}" in faults[0]
    assert f"wg pubkey < {private} > {name}" in faults[0]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o620])
@pytest.mark.parametrize("name", keys.SECRET_FILES)
def test_verify_names_a_secret_that_others_can_read(key_directory: Path, name: str, mode: int) -> None:
    """A private or preshared file that is open to group or others is named with its mode and the mend."""
    (key_directory / name).chmod(mode)
    faults = keys.verify(key_directory)
    assert len(faults) == 1
    assert f"{name} has mode {mode:04o}" in faults[0]
    assert "chmod 600" in faults[0]


def test_verify_accepts_a_stricter_mode(key_directory: Path) -> None:
    """A secret that not even its owner can write is sound, and a public key may be read by all."""
    (key_directory / keys.WEB_PRIVATE).chmod(0o400)
    (key_directory / keys.WEB_PUBLIC).chmod(0o444)
    assert keys.verify(key_directory) == []


def test_verify_names_a_pair_used_on_both_sides(key_directory: Path) -> None:
    """One pair for both ends is two faults: its private and its public key are each used twice."""
    for target, source in ((keys.SERVICES_PRIVATE, keys.WEB_PRIVATE), (keys.SERVICES_PUBLIC, keys.WEB_PUBLIC)):
        (key_directory / target).write_bytes((key_directory / source).read_bytes())
    faults = keys.verify(key_directory)
    assert len(faults) == 2
    assert "web-private.key and services-private.key hold the same key" in faults[0]
    assert "web-public.key and services-public.key hold the same key" in faults[1]


def test_verify_reports_all_faults_at_once(key_directory: Path) -> None:
    """Three independent faults give three lines."""
    (key_directory / keys.PRESHARED).unlink()
    (key_directory / keys.WEB_PRIVATE).chmod(0o644)
    (key_directory / keys.SERVICES_PUBLIC).write_text("", encoding="ascii")
    assert len(keys.verify(key_directory)) == 3


@pytest.mark.parametrize("name", keys.FILES)
@pytest.mark.parametrize("source", keys.SECRET_FILES)
def test_verify_never_shows_a_secret(key_directory: Path, name: str, source: str) -> None:
    """No line shows a private or preshared key, also when it was put into another file, a public one included."""
    secrets = [(key_directory / secret).read_text(encoding="ascii").strip() for secret in keys.SECRET_FILES]
    (key_directory / name).write_bytes((key_directory / source).read_bytes())
    (key_directory / keys.WEB_PRIVATE).chmod(0o644)
    said = "\n".join(keys.verify(key_directory))
    assert said
    assert not [secret for secret in secrets if secret in said]


def test_keys_are_never_committed_wherever_they_were_made(tmp_path: Path) -> None:
    """`keys generate` takes any folder of the clone; git is to take none of its files."""
    shutil.copyfile(ROOT / ".gitignore", tmp_path / ".gitignore")
    command.run(["git", "init", "--quiet"], timeout=10, cwd=tmp_path)
    made = [f"{folder}{name}" for folder in ("", "ansible/", "keys/") for name in keys.FILES]
    ignored = command.run(["git", "check-ignore", *made], timeout=10, cwd=tmp_path, check=False)
    assert ignored.stdout.split() == made
