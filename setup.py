"""What pyproject.toml cannot say: a wheel carries the bundled schema and data, which lie outside of `src`."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

BUNDLED = ("config/schemas", "config/policies", "data/credit_card")


class BuildWithBundled(build_py):
    """Copies the bundled folders into the package; `loan_default.bundled` finds them there."""

    def run(self) -> None:
        """Build, then copy. An editable install finds them in the checkout instead."""
        super().run()
        if self.editable_mode:
            return
        for folder in BUNDLED:
            self.copy_tree(folder, str(Path(self.build_lib, "loan_default", "_bundled", folder)))


setup(cmdclass={"build_py": BuildWithBundled})
