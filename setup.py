"""Put the shipped cases into the package when it is built; everything else is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent


def copy_cases(source: Path, target: Path) -> None:
    """Copy the files of all cases, without what runs of them left behind."""
    for file in sorted(source.glob("*/*")):
        if file.is_file() and (file.parent / "case.toml").is_file():
            copy = target / file.parent.name / file.name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)


class BuildWithCases(build_py):
    """Build as usual, with ``cases`` as ``wigner_sim/example_cases``."""

    def run(self) -> None:
        """Build, then copy; an editable installation reads the cases where they are."""
        super().run()
        if not getattr(self, "editable_mode", False):
            copy_cases(ROOT / "cases", Path(self.build_lib) / "wigner_sim" / "example_cases")


if __name__ == "__main__":
    setup(cmdclass={"build_py": BuildWithCases})
