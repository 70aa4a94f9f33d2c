"""
What C{txterminable} is and needs; how its tools are set up is in pyproject.toml.
"""

from pathlib import Path

from setuptools import find_packages, setup

extras = {
    "progress": ["rich>=13"],
    "http2": ["Twisted[http2]>=26.10"],
    # What Prometheus reads at the admin door.
    "metrics": ["prometheus_client>=0.20"],
    # Limits that several processes share.
    "redis": ["txredisapi>=1.6"],
    # A spool for several processes or machines.
    "postgresql": ["psycopg[binary]>=3.2"],
    "test": [
        "Twisted[conch,http2]>=26.10",
        "autobahn>=24.4",
        # axe.min.js comes with it.
        "axe-core-python>=0.1",
        "coverage>=7.10",
        "greenlet",
        # Twisted's own tests, which we run, need httpx and PyHamcrest.
        "httpx",
        "hypothesis>=6.100",
        "jsonschema>=4.20",
        "klein>=24.8",
        # The schemas of Kubernetes come with it.
        "kubernetes-validate>=1.37",
        "PyHamcrest",
        "PyYAML>=6",
        "pyte>=0.8",
        "pytest>=8",
        "pytest-twisted>=1.14.3",
        "pytest-xdist>=3.6",
        "rich>=13",
        "websockets>=13",
        "wsproto>=1.2",
    ],
    "lint": ["mypy>=1.15", "mypy-zope>=1.0.11", "ruff>=0.9"],
    "docs": ["pydoctor>=25.10", "sphinx>=8", "towncrier>=24.8"],
    # Pictures of the benchmarks; counting instructions needs valgrind.
    "benchmarks": ["matplotlib>=3.9"],
}
extras["dev"] = sorted({requirement for extra in extras.values() for requirement in extra})

setup(
    name="txterminable",
    version="0.1.0",
    description="Any Twisted server ends politely, or at once",
    long_description=Path(__file__).with_name("README.rst").read_text(encoding="utf-8"),
    long_description_content_type="text/x-rst",
    author="the terminable authors",
    license="MIT",
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Framework :: Twisted",
        "Intended Audience :: Developers",
        "Intended Audience :: System Administrators",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3",
        "Topic :: Internet :: WWW/HTTP :: HTTP Servers",
        "Topic :: System :: Networking",
        "Typing :: Typed",
    ],
    python_requires=">=3.10",
    install_requires=[
        "Twisted[tls]>=26.10",
        "cryptography>=42",
        "pyOpenSSL>=24.2",
        "service-identity>=24.1",
        "treq>=24.9",
    ],
    extras_require=extras,
    # twisted.plugins has no __init__.py here: it is Twisted's package, and ours
    # would overwrite it.  find_packages() does not see it for the same reason.
    packages=[*find_packages(include=["terminable", "terminable.*"]), "twisted.plugins"],
    # Said although it is the default: setuptools then makes an editable install a
    # plain entry in sys.path, and Twisted looks for plugins along sys.path only.
    package_dir={"": "."},
    package_data={
        "terminable": ["py.typed"],
        "terminable.admin": ["page/*"],
        "terminable.drainers": ["README*"],
    },
    # Fixtures for whoever tests a server with pytest.
    entry_points={"pytest11": ["terminable = terminable.testing.pytestplugin"]},
    zip_safe=False,
)
