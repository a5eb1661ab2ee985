"""A folder of results described as a Research Object Crate (RO-Crate), which archives and registries read."""

import mimetypes
from urllib.parse import quote

from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

# Not in every system's table of types.
TYPES = {
    ".parquet": "application/vnd.apache.parquet",
    ".arrow": "application/vnd.apache.arrow.file",
    ".yaml": "application/yaml",
}

LICENSE = "To be said by those who publish these results. What the texts allow that they were made from is part of it."


def describe(files, *, record, inputs, citation, made):
    """The metadata of a crate, for the file `ro-crate-metadata.json` in the folder of results.

    files: a dict of path, relative to that folder, to size in bytes; record: of provenance.json; inputs: (name, sha256)
    of each file that was read; citation: of CITATION.cff; made: the time of the run, in ISO 8601.
    Returns a dict that is the same for the same arguments.
    """
    crate, config, release = ROCrate(version="1.2"), record["config"], record["crosswalk"]
    crate.name = config["title"] or "Results of Crosswalk"
    crate.description = citation.get("title", "Results of Crosswalk")
    crate.datePublished = made

    def add(place, kind, /, **properties):
        properties = {key: value for key, value in properties.items() if value is not None}
        return crate.add(ContextEntity(crate, place, properties={"@type": kind, **properties}))

    def package(name, version):
        url = f"https://pypi.org/project/{name}/{version}/"
        return add(url, "SoftwareApplication", name=name, version=version, url=url)

    packages = [package(name, version) for name, version in record["packages"].items()]
    people = [
        add(f"#author-{i}", "Person" if "family-names" in one else "Organization", name=_name(one))
        for i, one in enumerate(citation.get("authors", []), start=1)
    ]
    license = citation.get("license") and f"https://spdx.org/licenses/{citation['license']}"
    workflow = add(
        "#crosswalk", "SoftwareApplication", name="Crosswalk", version=release["version"],
        identifier=release["commit"], url=citation.get("repository-code"), license=license,
    )  # fmt: skip
    for key, value in (("softwareRequirements", packages), ("author", people)):
        if value:
            workflow[key] = value if len(value) > 1 else value[0]
    read = [
        add(f"#input-{quote(name)}-{sha256[:16]}", "CreativeWork", name=name, sha256=sha256) for name, sha256 in inputs
    ]
    results = {path: crate.add_file(dest_path=path, properties=_file(path, size)) for path, size in files.items()}
    run = add("#run", "CreateAction", name=f"Run that made {crate.name}", endTime=made)
    run["instrument"] = workflow
    run["object"] = [*read, *(results[path] for path in results if path == "provenance.yaml")]
    run["result"] = [entity for path, entity in results.items() if path != "provenance.yaml"]
    crate.root_dataset["mentions"] = run
    crate.license = add("#license", "CreativeWork", name="Not stated", description=LICENSE)
    return crate.metadata.generate()


def _file(path, size):
    kind = next((kind for end, kind in TYPES.items() if path.endswith(end)), mimetypes.guess_type(path)[0])
    return {"name": path, "contentSize": str(size)} | ({"encodingFormat": kind} if kind else {})


def _name(person):
    return person.get("name") or " ".join(filter(None, (person.get("given-names"), person.get("family-names"))))
