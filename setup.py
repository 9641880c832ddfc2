"""Put the shipped cases into the package when it is built; everything else is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent


def copy_cases(source: Path, target: Path) -> None:
    """Copy the files of the cases listed in ``shipped.txt``, without what runs of them left behind."""
    target.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / "shipped.txt", target / "shipped.txt")
    for name in (source / "shipped.txt").read_text(encoding="utf-8").split():
        (target / name).mkdir(exist_ok=True)
        for file in (source / name).iterdir():
            if file.is_file():
                shutil.copyfile(file, target / name / file.name)


class BuildWithCases(build_py):
    """Build as usual, with ``cases`` as ``wigner_sim/example_cases``."""

    def run(self) -> None:
        """Build, then copy; an editable installation reads the cases where they are."""
        super().run()
        if not getattr(self, "editable_mode", False):
            copy_cases(ROOT / "cases", Path(self.build_lib) / "wigner_sim" / "example_cases")


if __name__ == "__main__":
    setup(cmdclass={"build_py": BuildWithCases})
