"""What a schema cannot see in the config of a matching: names, phrases, and settings that contradict one another."""

from crosswalk.models import embedding_of, space, title
from crosswalk.paths import missing_files
from crosswalk.wording import near

SIDES = ("a", "b")


def query_phrases(query):
    """The phrases of a query for the two sides: its own where given, else the common one; "" leaves a side out."""
    return tuple(query.get(side, query.get("phrase", "")) for side in SIDES)


def match_faults(name, config, root):
    """Faults of one entry of `match`: a list of lines. root: folder against which relative paths are looked up."""
    at, entry, collections = f"match.{name}", config["match"][name], config["collections"]
    faults = _query_faults(at, entry["queries"])
    if entry["assignment"]["capacity"] and entry["assignment"]["mode"] != "capacity":
        faults.append(
            f"{at}.assignment.capacity: has no effect with mode '{entry['assignment']['mode']}'; set mode: capacity"
        )
    for key, table in (("truth", entry.get("truth")), ("alignment.anchors", entry["alignment"].get("anchors"))):
        if table:
            faults += missing_files(f"{at}.{key}", table, root)
    if entry["method"] != "as_published":  # which weighs nothing and aligns in its own way
        faults += _weight_faults(at, entry) + _recursion_faults(at, entry)
        if entry["alignment"]["method"] == "anchors" and "anchors" not in entry["alignment"]:
            faults.append(f"{at}.alignment.method: anchors needs a table of pairs; add {at}.alignment.anchors")
    unknown = [
        f"{at}.{side}: no collection '{entry[side]}'{near(entry[side], collections)}"
        for side in SIDES
        if entry[side] not in collections
    ]
    if unknown:
        return unknown + faults
    if entry["a"] == entry["b"]:
        return [f"{at}.b: '{entry['b']}' is side a, too; name another collection", *faults]
    return faults + _label_faults(at, entry, collections) + _model_faults(at, entry, config)


def _query_faults(at, queries):
    faults = []
    for i, query in enumerate(queries):
        blank = [key for key in ("phrase", *SIDES) if query.get(key, "x").isspace()]
        faults += [f"{at}.queries[{i}].{key}: holds only blanks; write the phrase or remove it" for key in blank]
        if not blank and not any(query_phrases(query)):
            faults.append(f"{at}.queries[{i}]: has no phrase for either side; give phrase, or a and b")
    return faults


def _counting(queries):
    return [query for query in queries if query["weight"] > 0]


def _weight_faults(at, entry):
    if any(weight != 0 for weight in entry["weights"].values()) or _counting(entry["queries"]):
        return []
    return [f"{at}.weights: all are 0, so that nothing is compared; set one to auto, or add a query that has a weight"]


def _recursion_faults(at, entry):
    count = len(_counting(entry["queries"]))
    if "queries" not in entry["recursion"] or count >= 2:
        return []
    return [
        f"{at}.recursion: 'queries' puts rows of the same strongest query together and needs two or more with a weight "
        f"(found {count}); add to {at}.queries, or take it out"
    ]


def _label_faults(at, entry, collections):
    faults = []
    for side in SIDES if "labels" in entry else ():
        column, name = entry["labels"][side], entry[side]
        kept = list(collections[name]["keep"])
        if contrast := collections[name].get("contrast"):
            kept.append(contrast["column"])
        if column not in kept:
            faults.append(
                f"{at}.labels.{side}: the table of '{name}' has no column '{column}'; add it to "
                f"collections.{name}.keep{near(column, kept)}"
            )
    return faults


def _model_faults(at, entry, config):
    """A fault if two spaces are compared as if they were one."""
    models = [embedding_of(config, entry[side]) for side in SIDES]
    compared = [block for block in ("embedding", "code") if entry["weights"][block] != 0]
    alone = entry["method"] != "as_published" and entry["alignment"]["method"] == "none"
    if not alone or not compared or space(models[0]) == space(models[1]):
        return []
    return [
        f"{at}.alignment.method: none compares two models as if they were one, {title(models[0])} of '{entry['a']}' "
        f"and {title(models[1])} of '{entry['b']}'; set it to auto, or set "
        f"{' and '.join(f'weights.{block}' for block in compared)} to 0"
    ]
