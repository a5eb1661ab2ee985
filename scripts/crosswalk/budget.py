"""What a study may spend, and when to stop: before the limit is crossed, not after.

Tokens of requests that are on their way count as spent until the answer says what they took.
"""

import hashlib
import math
from pathlib import Path

from crosswalk.errors import UserError

MILLION = 1_000_000
# US dollars a million tokens, as OpenAI publishes them (https://openai.com/api/pricing, 2026).
PRICES = {"text-embedding-3-small": 0.02, "text-embedding-3-large": 0.13, "text-embedding-ada-002": 0.10}


class BudgetReached(UserError):
    """The next request might cross the budget."""


class Budget:
    """Tokens that may be spent in all.

    limit: of tokens, math.inf for none; spent: what the study has spent before; at: the config's key, for messages.
    """

    def __init__(self, limit=math.inf, *, spent=0, at="embedding.budget"):
        self.limit, self.spent, self.on_the_way, self._at = limit, spent, 0, at

    def reserve(self, tokens):
        """Count tokens of a request that is about to leave. Raises BudgetReached if they might cross the limit."""
        if self.spent + self.on_the_way + tokens > self.limit:
            raise BudgetReached(
                f"{self._at}: {self.spent:,} of {self.limit:,.0f} tokens are spent"
                f"{f' and {self.on_the_way:,} on their way' if self.on_the_way else ''}, and the next request may take "
                f"{tokens:,}. What was bought is kept. Raise the budget and run again."
            )
        self.on_the_way += tokens

    def settle(self, reserved, taken):
        """A request that had reserved tokens has come to its end and has taken `taken`."""
        self.on_the_way -= reserved
        self.spent += taken


def price_of(model, settings):
    """US dollars, or what the config counts in, for a million tokens; None if nobody said.

    settings: with `price`, which is what is paid, and `mode`: what is published is halved for batches.
    """
    if settings.get("price") is not None:
        return settings["price"]
    share = 0.5 if settings.get("mode") == "batch" else 1
    return PRICES[model] * share if model in PRICES else None


def token_limit(model, settings):
    """The tokens that a config's `budget` allows, math.inf for no budget.

    settings: the config's `embedding`. Raises UserError if a budget of money has no price to be measured by.
    """
    budget = settings.get("budget") or {}
    limits = [budget.get("tokens") or math.inf]
    if budget.get("money") is not None:
        price = price_of(model, settings)
        if price is None:
            raise UserError(
                f"embedding.budget.money: nobody knows what {model!r} costs. Set embedding.price (a million tokens) "
                "or a budget of tokens."
            )
        limits.append(math.floor(budget["money"] / price * MILLION) if price else math.inf)
    return min(limits)


def study_of(results):
    """The name under which the spending of a study is recorded: a hash of where its results are."""
    return hashlib.blake2b(str(Path(results).resolve()).encode(), digest_size=8).hexdigest()
