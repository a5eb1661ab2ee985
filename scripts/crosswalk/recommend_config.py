"""What a schema cannot see in the config of a recommender: names, contradictions, and the points of a sweep."""

from crosswalk.paths import missing_files
from crosswalk.wording import near

ALWAYS = ("popularity", "item_knn")  # judged beside every model, whether the stack weighs them or not
PRIORS = ("text", "vectors", "hierarchy", "labels")


def points(entry):
    """The points of a recommender's sweep, each as a dict of dim, epochs, batch_size and prior (a tuple).

    entry: its checked config. `hierarchy` is left out where the config has neither `broader` nor `path`; points that
    are the same then count once. The order is that of the config.
    """
    settings = entry["factorisation"]
    priors = settings["prior"]
    priors = priors if priors and all(isinstance(prior, list) for prior in priors) else [priors]
    without = () if "broader" in entry or "path" in entry else ("hierarchy",)
    priors = [tuple(name for name in PRIORS if name in prior and name not in without) for prior in priors]
    return [
        {"dim": dim, "epochs": epochs, "batch_size": batch_size, "prior": prior}
        for dim in _listed(settings["dim"])
        for epochs in _listed(settings["epochs"])
        for batch_size in _listed(settings["batch_size"])
        for prior in dict.fromkeys(priors)
    ]


def folder(point):
    """The folder of a point: one level for each thing that can be swept."""
    prior = "-".join(point["prior"]) or "none"
    return f"dim-{point['dim']}/epochs-{point['epochs']}/batch-{point['batch_size']}/prior-{prior}"


def uses(entry, member):
    """Whether a recommender fits this member."""
    return member in entry["members"] or member == entry["model"] or member in ALWAYS


def reads_vectors(entry):
    """Whether a recommender needs the embedding of its works."""
    if uses(entry, "vector_knn") or (uses(entry, "network") and entry["network"]["vectors"]):
        return True
    return uses(entry, "factorisation") and any("vectors" in point["prior"] for point in points(entry))


def recommend_faults(name, config, root):
    """Faults of one entry of `recommend`: a list of lines. root: folder against which relative paths are looked up."""
    at, entry, collections = f"recommend.{name}", config["recommend"][name], config["collections"]
    faults = _tag_faults(f"{at}.tags", entry["tags"], root) + _broader_faults(f"{at}.broader", entry, root)
    faults += _prior_faults(f"{at}.factorisation.prior", entry["factorisation"])
    if entry["model"] not in ("stack", *entry["members"], *ALWAYS):
        faults.append(f"{at}.model: '{entry['model']}' is not among {at}.members; add it there, or set model: stack")
    if not entry["split"]["known"] and not entry["split"]["new"]:
        faults.append(f"{at}.split: known and new are both 0, so that nothing could be weighed or judged; raise one")
    for file, path in entry["new"].items():
        faults += [fault.replace(".path:", ":", 1) for fault in missing_files(f"{at}.new.{file}", {"path": path}, root)]
    if entry["works"] not in collections:
        return [f"{at}.works: no collection '{entry['works']}'{near(entry['works'], collections)}", *faults]
    works = collections[entry["works"]]
    if entry["tags"]["source"] and works["id"] is None:
        faults.append(
            f"{at}.tags.work: '{entry['works']}' has no column with ids that links could name; "
            f"set collections.{entry['works']}.id"
        )
    if "path" in entry and entry["path"]["column"] not in works["keep"]:
        column = entry["path"]["column"]
        faults.append(
            f"{at}.path.column: the table of '{entry['works']}' has no column '{column}'; add it to "
            f"collections.{entry['works']}.keep{near(column, works['keep'])}"
        )
    return faults


def _listed(value):
    return value if isinstance(value, list) else [value]


def _prior_faults(at, settings):
    kinds = {type(prior) for prior in settings["prior"]}
    if len(kinds) > 1:
        return [
            f"{at}: mixes names and lists; write [text, labels] for one prior, [[text], [text, labels]] for a sweep"
        ]
    if settings["method"] == "ials" and settings["prior"] and any(settings["prior"]):
        return (
            [] if settings["prior"] == ["text", "hierarchy", "labels"] else [f"{at}: has no effect with method: ials"]
        )
    return []


def _tag_faults(at, tags, root):
    """Faults of where the links come from: either in the rows of the works, or in a table of their own."""
    if tags["source"] is None:
        faults = [f"{at}.work: goes with {at}.source; remove it"] if tags["work"] else []
        if tags["path"] is None:
            return [f"{at}: says not where the subjects are; give path, or source for a table of links", *faults]
        if tags["delimiter"] and ("[]" in tags["path"] or tags["id"]):
            faults.append(
                f"{at}.delimiter: cuts a column of text, which has neither [] nor keys; set id: null, or remove it"
            )
        return faults
    faults = [
        f"{at}.{key}: goes with subjects inside the works' rows; remove it, or {at}.source"
        for key in ("path", "delimiter")
        if tags[key]
    ]
    faults += [f"{at}.{key}: name the column of the table" for key in ("work", "id") if not tags[key]]
    kinds = [kind for kind in ("path", "docs") if kind in tags["source"]]
    if len(kinds) != 1:
        faults.append(f"{at}.source: give one of path and docs (found {' and '.join(kinds) or 'none'})")
    elif kinds == ["path"]:
        faults += missing_files(f"{at}.source", tags["source"], root)
    return faults


def _broader_faults(at, entry, root):
    if "broader" not in entry:
        return []
    broader = entry["broader"]
    table = [key for key in ("path", "subject", "broader") if key in broader]
    if "separator" in broader:
        return [f"{at}: give either separator or a table (path, subject, broader), not both"] if table else []
    if len(table) < 3:
        return [f"{at}: give separator, or all of path, subject and broader (found {', '.join(table) or 'none'})"]
    return missing_files(at, broader, root)
