"""Where the bundled accounts and their schema lie: in the checkout, or in the installed package.

A checkout has them in its root folder. `setup.py` copies them into a wheel, under the same names below
`loan_default/_bundled`.
"""

from importlib.resources import files
from pathlib import Path


def bundled_root(package: Path) -> Path:
    """The folder that holds `config` and `data`, for a package that lies in the folder `package`."""
    installed = package / "_bundled"
    return installed if installed.is_dir() else package.parents[1]


_ROOT = bundled_root(Path(str(files("loan_default"))))

BUNDLED_DATA = _ROOT / "data" / "credit_card" / "credit_card.csv.gz"
"""UCI's "default of credit card clients": 30,000 accounts, CC BY 4.0."""
BUNDLED_SCHEMA = _ROOT / "config" / "schemas" / "credit_card.toml"
"""The schema of `BUNDLED_DATA`."""
POLICIES = _ROOT / "config" / "policies"
"""The policy profiles, a file for each jurisdiction."""
