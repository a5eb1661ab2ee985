"""The profile for Slurm fits the rules that there are, and repeats what it replaces."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PROFILE = yaml.safe_load((ROOT / "profiles/slurm/profile.yaml").read_text())
DEFAULT = yaml.safe_load((ROOT / "profiles/default/profile.yaml").read_text())
RULES = {
    name: text
    for path in (ROOT / "workflow/rules").glob("*.smk")
    for name, text in re.findall(r"^rule (\w+):\n((?:[ \t]+.*\n|\n)+)", path.read_text(), re.MULTILINE)
}


def test_every_rule_that_is_named_exists():
    assert len(RULES) > 30
    named = {*PROFILE["set-resources"], *PROFILE["groups"]}
    assert named <= RULES.keys()
    assert set(PROFILE["group-components"]) <= set(PROFILE["groups"].values())


def test_every_rule_that_may_use_an_accelerator_is_told_whether_to_ask_for_one():
    asking = {name for name, text in RULES.items() if re.search(r"^ +gpu=", text, re.MULTILINE)}
    told = {name for name, resources in PROFILE["set-resources"].items() if "gpu" in resources}
    assert asking == told  # or the rules would see whether the login node has a device


def test_jobs_that_share_one_of_slurm_ask_for_the_same_partition():
    asked = PROFILE["set-resources"]
    usual = PROFILE["default-resources"]["slurm_partition"]
    for group in set(PROFILE["groups"].values()):
        rules = [rule for rule, name in PROFILE["groups"].items() if name == group]
        assert len({asked.get(rule, {}).get("slurm_partition", usual) for rule in rules}) == 1, group


def test_what_the_profile_of_one_machine_says_is_repeated():
    for key, value in DEFAULT.items():
        if key not in ("cores", "resources"):
            assert PROFILE[key] == value, key
    assert PROFILE["resources"].keys() >= DEFAULT["resources"].keys()
