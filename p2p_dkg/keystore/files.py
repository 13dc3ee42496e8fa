"""Files that survive a power cut and are read by nobody else: durable writes, modes, overwriting.

Knows paths and bytes, not what they mean. Every write is tmp, fsync, rename, fsync of the folder.
"""

from __future__ import annotations

import fcntl
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from authnet_core.errors import AuthnetError, Code, ConfigError

FILE_MODE = 0o600
FOLDER_MODE = 0o700
_TMP = ".tmp"
_GET_GENERATION = 0x80087601


def generation_of(path: Path) -> int:
    """The generation of a file's inode, 0 where the file system has none.

    Source: ioctl_iflags(2) and FS_IOC_GETVERSION of linux/fs.h; ext4, XFS and Btrfs keep it on disk.
    """
    fd = os.open(path, os.O_RDONLY)
    try:
        return int.from_bytes(fcntl.ioctl(fd, _GET_GENERATION, bytes(8))[:4], sys.byteorder)
    except OSError:
        return 0
    finally:
        os.close(fd)


def sync_folder(folder: Path) -> None:
    """Make renames and removals in `folder` durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folder(folder: Path) -> None:
    """Create `folder` with mode 0700 if it is not there."""
    try:
        folder.mkdir(mode=FOLDER_MODE)
    except FileExistsError:
        return
    sync_folder(folder.parent)


def write_durably(path: Path, content: bytes) -> None:
    """Replace `path` by `content`, whole or not at all. Raises OSError (disk full leaves the old file)."""
    tmp = path.with_name(path.name + _TMP)
    tmp.unlink(missing_ok=True)
    fd = os.open(tmp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
        os.fsync(fd)
    except OSError:
        tmp.unlink(missing_ok=True)
        raise
    finally:
        os.close(fd)
    tmp.rename(path)
    sync_folder(path.parent)


def overwrite_and_remove(path: Path) -> None:
    """Overwrite `path` in place, fsync, unlink, fsync the folder. Nothing happens if it is not there.

    It goes under another name first, which is made an end of at the next start: whoever dies in the midst leaves no
    half-overwritten file that a reader would call damaged.
    """
    doomed = path if path.name.endswith(_TMP) else path.with_name(path.name + _TMP)
    try:
        path.rename(doomed)
        fd = os.open(doomed, os.O_WRONLY)
    except FileNotFoundError:
        return
    try:
        os.pwrite(fd, os.urandom(os.fstat(fd).st_size), 0)
        os.fsync(fd)
    finally:
        os.close(fd)
    doomed.unlink()
    sync_folder(path.parent)


def read_file(path: Path) -> bytes | None:
    """The content of `path`, None if it is not there."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def require_private(path: Path, label: str) -> None:
    """Raise ConfigError(FILE_MODE) unless `path` belongs to this user and to nobody else."""
    status = path.lstat()
    wanted = FOLDER_MODE if stat.S_ISDIR(status.st_mode) else FILE_MODE
    if not (stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode)):
        raise ConfigError(f"{label}: is neither a file nor a folder", Code.FILE_MODE)
    mode = stat.S_IMODE(status.st_mode)
    if mode & ~wanted:
        raise ConfigError(
            f"{label}: mode is {mode:04o}, must be {wanted:04o} (chmod {wanted:o} {label})", Code.FILE_MODE
        )
    if status.st_uid != os.geteuid():
        raise ConfigError(f"{label}: belongs to another user", Code.FILE_MODE)


def require_private_tree(folder: Path, label: str) -> None:
    """`require_private` for `folder` and all below; left-over temporary files are removed."""
    require_private(folder, label)
    for entry in sorted(folder.iterdir()):
        name = f"{label}/{entry.name}"
        if entry.is_dir() and not entry.is_symlink():
            require_private_tree(entry, name)
            continue
        require_private(entry, name)
        if entry.name.endswith(_TMP):
            overwrite_and_remove(entry)


def read_passphrase(path: Path) -> bytes:
    """The passphrase in `path` without its line end. Raises ConfigError; the text is in no message."""
    label = "keeper.passphrase_file"
    if not path.exists():
        raise ConfigError(f"{label}: {path.name} does not exist")
    require_private(path, path.name)
    passphrase = path.read_bytes().rstrip(b"\r\n")
    if not passphrase:
        raise ConfigError(f"{label}: {path.name} is empty")
    return passphrase


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold `folder` for this process alone: two keepers with one keystore could sign two deals."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"{folder.name}: another process uses this keystore") from None
        yield
    finally:
        os.close(fd)


def damaged(label: str) -> AuthnetError:
    """The refusal for a file that does not open although the passphrase is right."""
    return AuthnetError(Code.KEYSTORE_DAMAGED, f"{label} is damaged or belongs elsewhere")
