"""Projects to run Snakemake in."""

import pytest

from project import Project


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A project whose study has run; tests that use it must leave its results as they are."""
    project = Project(tmp_path_factory.mktemp("finished"))
    project.log = project.run()
    return project
