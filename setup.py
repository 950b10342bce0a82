"""How SoFW is built and installed; tools are configured in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+?)"', (HERE / "sofw" / "__init__.py").read_text(encoding="utf-8"))[1]
README = HERE / "README.md"

setup(
    name="sofw",
    version=VERSION,
    description="SIP over FireWall: phones inside a network that only lets web traffic out reach the world",
    long_description=README.read_text(encoding="utf-8") if README.exists() else "",
    long_description_content_type="text/markdown",
    license="MIT",
    packages=[*find_packages(include=["sofw", "sofw.*"]), "twisted.plugins"],
    # With an explicit root, `pip install -e .` writes a plain .pth file; twistd finds plugins only that way.
    package_dir={"": "."},
    zip_safe=False,
    python_requires=">=3.11",
    install_requires=[
        "Twisted[tls]>=22.4",
        "pyOpenSSL>=23.0",
        "attrs>=22.2",
        "cryptography",
    ],
    extras_require={"test": ["hypothesis", "treq>=22.2"]},
    entry_points={"console_scripts": ["sofw=sofw.cli.main:main"]},
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Framework :: Twisted",
        "Intended Audience :: System Administrators",
        "License :: OSI Approved :: MIT License",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Topic :: Communications :: Internet Phone",
    ],
)
