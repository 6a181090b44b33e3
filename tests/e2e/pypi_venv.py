"""A venv with packages of PyPI for tests that need what others wrote."""
import hashlib
import pathlib
import subprocess
import venv


def environment(requirements: pathlib.Path, build: pathlib.Path, *pip: str) -> pathlib.Path:
    """The venv's Python; made again when the requirements change. Further arguments are pip's."""
    folder = build / "venv" / hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    python = folder / "bin/python"
    if not (folder / "complete").exists():
        print(f"installing {requirements} into {folder}", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pip, "-r", requirements],
                       check=True)
        (folder / "complete").touch()
    return python
