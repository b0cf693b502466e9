"""How a step knows that it need not be done again: a hash of what it was made from."""

import hashlib
from pathlib import Path


def digest(*parts):
    """Return a hash (16 hex digits) of texts and of the content of files and folders.

    :param parts: str or None as they are; a Path stands for the file's content, or for
        every file below the folder with its relative name
    """
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            for name, path in _files(part):
                content = hashlib.sha256(path.read_bytes()).hexdigest()
                total.update(f"{name}\0{content}\0".encode())
        else:
            total.update(f"{part!r}\0".encode())
    return total.hexdigest()[:16]


def _files(path):
    """Yield (relative name, path) of the files that count, in a stable order."""
    if path.is_file():
        yield path.name, path
        return
    for file in sorted(path.rglob("*")):
        parts = file.relative_to(path).parts
        if "__pycache__" in parts or file.suffix == ".pyc" or not file.is_file():
            continue
        yield "/".join(parts), file


class Stamp:
    """A file that remembers the hash a step was last done for.

    :param settings: the Settings
    :param str name: name of the step
    """

    def __init__(self, settings, name):
        self.path = settings.made("stamps", name)

    def read(self):
        """Return the remembered hash, or "" when the step was never done."""
        try:
            return self.path.read_text().strip()
        except FileNotFoundError:
            return ""

    def fits(self, value):
        """Tell whether the step was done for this hash."""
        return self.read() == value

    def write(self, value):
        """Remember that the step is done for this hash."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(value + "\n")

    def clear(self):
        """Forget, so that the step is done again."""
        self.path.unlink(missing_ok=True)
