"""A process that is watched: what it may use of memory and time, and what it may not touch."""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

MEMORY = 2**30  # bytes beyond what the process held before
SECONDS = 2.0  # of the processor, for each input; beyond, the process is killed
OUTWARD = (  # what leaves the process
    "socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "urllib.", "http.",
    "ftplib.", "webbrowser.", "pty.", "syslog.",
)
INWARD = (  # what runs something in it, or changes what lies around; a compiler does so
    "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown",
    "os.putenv", "shutil.", "exec", "compile", "import", "pickle.", "marshal.", "ctypes.", "tempfile.", "sqlite3.",
    "code.__new__", "glob.", "mmap.", "winreg.",
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Guard:
    """The limits of this process, from now on; there is no way to take them off again."""

    def __init__(self, folder: Path, compiles: bool = False) -> None:
        """With `compiles` a compiler may do its work: time is longer, and what it opens and makes is not noted."""
        self.folder, self.seen, self.on = os.path.realpath(folder), list[str](), False
        os.chdir(folder)  # a name that is opened inside a folder held open is heard without that folder
        self.seconds, self.compiles = SECONDS * (30 if compiles else 1), compiles
        gc.freeze()
        warnings.simplefilter("error")  # a file is read or refused; nothing is muttered
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY,) * 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        """Note what is forbidden. Nothing is raised here: it would look like one of the file's own errors."""
        if not self.on:
            return
        if event.startswith(OUTWARD) or (event.startswith(INWARD) and not self.compiles):
            self.seen.append(f"{event} {arguments!r}"[:300])
        elif event == "open" and not self.compiles:
            path, _, flags = arguments
            flags = flags if isinstance(flags, int) else 0
            if flags & WRITING or not (isinstance(path, int) or self._inside(os.fsdecode(path), flags)):  # type: ignore[arg-type]
                self.seen.append(f"open {path!r} {flags}")

    def _inside(self, path: str, flags: int) -> bool:
        """Say whether opening this leads to the folder or into it, whatever links are on the way."""
        above, name = os.path.split(path)
        if flags & os.O_NOFOLLOW and name not in ("", ".", ".."):  # a link at its end is not opened
            real = os.path.join(os.path.realpath(above), name)
        else:
            real = os.path.realpath(path)
        return (real + os.sep).startswith(self.folder + os.sep)

    def watched(self, door: Callable[[Path], str], path: Path) -> str:
        """Call a door; an input that takes too long kills the process here, and the parent knows which one it was."""
        self.seen.clear()
        signal.setitimer(signal.ITIMER_PROF, self.seconds)
        self.on = True
        try:
            return door(path)
        finally:
            self.on = False
            signal.setitimer(signal.ITIMER_PROF, 0)
