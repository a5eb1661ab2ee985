"""A copy of the project with a small study of our own making, and a way to run Snakemake on it."""

import copy
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import yaml

ROOT = Path(__file__).parents[2]
PARTS = ["Snakefile", "workflow", "scripts", "profiles", "config", "envs"]

# Themes of the items and moods of their replies: the first theme goes with the first mood, the second with the second.
THEMES = [
    "sea ship captain sailor storm harbour island anchor mast tide",
    "court judge lawyer verdict trial witness evidence jury appeal oath",
    "garden rose soil seed blossom orchard pruning hedge meadow bee",
    "engine piston gearbox fuel torque exhaust clutch axle brake valve",
]
MOODS = [
    "slow tedious dragging sluggish wearisome plodding dull stretched lifeless endless",
    "thrilling gripping brisk tense electric urgent breathless riveting swift feverish",
]
FILLER = "the story has a part that tells of people and of a day when they talk about what they know"


def compose(rng, words, count):
    """A text of `count` words, about half of them from the given ones."""
    return " ".join(rng.choice(words) if rng.random() < 0.5 else rng.choice(FILLER.split()) for _ in range(count))


def write_study(folder, *, items=240, replies=3, seed=0):
    """Write items.jsonl and replies.jsonl: themes and moods go together nine times in ten."""
    rng = np.random.default_rng(seed)
    with open(folder / "items.jsonl", "w") as works, open(folder / "replies.jsonl", "w") as answers:
        for i in range(items):
            theme = i % len(THEMES)
            words = THEMES[theme].split()
            mood = theme if theme < 2 and rng.random() < 0.9 else int(rng.integers(2))
            label = "wet" if theme == 0 else "dry"
            row = {"id": f"i{i}", "title": f"Work {i}", "text": compose(rng, words, 40), "label": label}
            works.write(json.dumps(row) + "\n")
            for j in range(replies):
                text = compose(rng, MOODS[mood].split(), 25)
                text += ' <script>alert("x")</script>'  # which the page must show, not run
                answers.write(json.dumps({"id": f"r{i}-{j}", "item": f"i{i}", "text": text}) + "\n")


def study():
    """A config that runs in well under a minute."""
    return {
        "title": "A study",
        "pathvars": {"results": "results/study"},
        "seed": 7,
        "collections": {
            "items": {
                "source": {"path": "items.jsonl"}, "id": "id", "text": {"columns": ["text"]}, "keep": ["title"],
                "sample": {"n": 200}, "contrast": {"column": "label", "values": ["wet", "dry"]},
            },
            "replies": {
                "source": {"path": "replies.jsonl"}, "id": "id", "text": {"columns": ["text"]},
                "link": {"to": "items", "on": "item", "at_least": 2, "take": 2},
            },
        },
        "embedding": {"provider": "tfidf", "dimensions": 32},
        "encode": {"encoders": ["topk"], "dims": [4], "epochs": 20},
        "relate": {"items_replies": {"x": "items", "y": "replies", "axes": 4, "permutations": 199, "bootstrap": 199}},
        "report": {"max_clusters": 8, "clusters": 4},
    }  # fmt: skip


class Project:
    """A copy of the project in its own folder."""

    def __init__(self, folder, *, items=240):
        self.folder = Path(folder)
        for part in PARTS:
            put = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            put(ROOT / part, self.folder / part)
        write_study(self.folder, items=items)
        self.config = study()

    def copy(self, folder):
        """This project as it is, results and Snakemake's own records included, in another folder."""
        other = copy.copy(self)
        other.folder, other.config = Path(folder), copy.deepcopy(self.config)
        shutil.copytree(self.folder, other.folder)
        return other

    @property
    def results(self):
        return self.folder / self.config["pathvars"]["results"]

    def snakemake(self, *arguments, environment=None, config=None):
        """Run Snakemake; returns the finished process, whose output is one text."""
        process = self.start(*arguments, environment=environment, config=config)
        output, _ = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, output)

    def start(self, *arguments, environment=None, config=None):
        """Start Snakemake in a process group of its own; returns the process."""
        if config is None:
            (self.folder / "study.yaml").write_text(yaml.safe_dump(self.config, sort_keys=False))
            config = "study.yaml"
        command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", config, *arguments]
        return subprocess.Popen(
            command, cwd=self.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, process_group=0,
            env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
        )  # fmt: skip

    def run(self, *arguments, **options):
        """Run Snakemake and fail with its output if it fails."""
        done = self.snakemake(*arguments, **options)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def planned(self, *arguments):
        """How many jobs of each rule a run would start, as a dict without the target."""
        text = self.run("--dry-run", "--quiet", "reason", *arguments)
        jobs = {}
        if "Job stats:" in text:
            for line in text.split("Job stats:")[1].strip().splitlines()[2:]:
                parts = line.split()
                if len(parts) != 2 or parts[0] == "total":
                    break
                jobs[parts[0]] = int(parts[1])
        return {rule: count for rule, count in jobs.items() if rule != "all"}

    def edit(self, path, old, new):
        """Replace text in a file of the copy; the text must be there."""
        text = (self.folder / path).read_text()
        assert old in text, f"{old!r} is not in {path}"
        (self.folder / path).write_text(text.replace(old, new, 1))
