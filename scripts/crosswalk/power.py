"""What a search could have found: how many candidates it tested, and the least correlation it would have confirmed.

So that "nothing found" is an answer. The spread of held-out correlations in the shuffled worlds says how much chance
there is in one of them, blocks and cross-fitting included; an r with that spread has the null of a correlation of so
many independent items (Student's t), and its sampling error on Fisher's (1921) scale. A lone finding has to reach the
first step of Benjamini and Hochberg's (1995) correction, alpha over the number of tests.
"""

import math

import numpy as np
import pandas as pd
from scipy.stats import norm, t

from crosswalk.relations import kind_of

POWER = 0.8
MANY_BLOCKS = 12  # from here on, blocks can trade places in more ways than anyone draws
COLUMNS = ["list", "search", "kind", "tested", "confirmed", "strict", "smallest_q", "greatest_r", "items", "blocks"]
COLUMNS += ["worlds", "null_sd", "least_r_alone", "least_r_search", "least_r_list"]


def least_correlation(null_sd, *, alpha=0.05, tests=1, floor=0.0, power=POWER):
    """The least r that would be confirmed with this probability, if it alone were there.

    null_sd: spread of r in the shuffled worlds; alpha: level, one-sided; tests: how many it is corrected for; floor:
    the least p-value that the worlds can give. r is what the search measures, on items held out, on average: traits
    that are read imperfectly in texts go together more than that.
    Returns a float below 1; nan where null_sd is not known or not above 0, or where no p-value can be small enough for
    a lone finding, which then takes more worlds, or several findings of a kind.
    """
    level = alpha / tests
    if floor > 0:
        # With so few worlds the bound is the k-th greatest of their r, which lies at about this level (Blom, 1958).
        reached = math.floor(level / floor + 1e-9)
        level = (reached - 0.375) / (1 / floor - 0.75)
    if not (0 < null_sd < 1) or level < 0:
        return math.nan
    freedom = 1 / null_sd**2 - 1
    critical = t.isf(level, freedom)
    critical /= math.hypot(critical, math.sqrt(freedom))
    return math.tanh(math.atanh(critical) + norm.ppf(power) * null_sd)


def power_table(tests, *, alpha=0.05, power=POWER):
    """What each search tested, confirmed and could have confirmed.

    tests: rows of `judging.judge_lists`, with the columns of `significance.candidate_table`, `list`, `q`, `confirmed`
    and `strict`. Phrases, each a family of its own, make one search together.
    Returns a DataFrame of COLUMNS, a row for each search and, with search "all", for each list: tested, confirmed,
    strict: counts; smallest_q; greatest_r; items, blocks, worlds; null_sd, the median over the candidates; least_r_*:
    see `least_correlation`, for one hypothesis registered beforehand, corrected within the search, and within its list.
    Of a list it is that of the search that could have found least.
    """
    rows, tests = [], tests.reset_index(drop=True)
    searched = tests["family"].map(lambda family: "focus" if kind_of(family) == "focus" else family)
    for name, listed in tests.groupby("list", sort=False):
        begun = len(rows)
        for search, own in listed.groupby(searched, sort=False):
            spread, floor = _spread(own), _floor(own)
            rows.append(
                {
                    **_counts(name, search, own),
                    "kind": kind_of(own["family"].iloc[0]),
                    "items": int(own["n"].max()),
                    "blocks": int(own["blocks"].max()),
                    "worlds": int(own["worlds"].max()),
                    "null_sd": spread,
                    **{
                        f"least_r_{among}": least_correlation(spread, alpha=alpha, tests=m, floor=floor, power=power)
                        for among, m in (("alone", 1), ("search", len(own)), ("list", len(listed)))
                    },
                }
            )
        searches = pd.DataFrame(rows[begun:])
        least = searches["least_r_list"].dropna()
        rows.append(
            {
                **_counts(name, "all", listed),
                "kind": "",
                **{key: int(searches[key].max()) for key in ("items", "blocks", "worlds")},
                "null_sd": searches["null_sd"].median(),
                "least_r_alone": searches["least_r_alone"].min(),
                "least_r_search": least.min() if len(least) else np.nan,
                "least_r_list": least.min() if len(least) else np.nan,
            }
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def _counts(name, search, own):
    return {
        "list": name,
        "search": search,
        "tested": len(own),
        "confirmed": int(own["confirmed"].sum()),
        "strict": int(own["strict"].sum()),
        "smallest_q": own["q"].min(),
        "greatest_r": own["r"].max(),
    }


def _spread(own):
    """Median spread of r in the shuffled worlds; without worlds, that of so many independent blocks."""
    known = own["null_sd"].dropna()
    known = known[known > 0]
    return float(known.median()) if len(known) else 1 / math.sqrt(max(own["blocks"].max() - 1, 2))


def _floor(own):
    """The least p-value possible: one world among all those drawn, or among all that there are."""
    blocks = int(own["blocks"].max())
    ways = math.factorial(blocks) if blocks < MANY_BLOCKS else math.inf
    return max(float(own["p_floor"].min()), 1 / ways)
