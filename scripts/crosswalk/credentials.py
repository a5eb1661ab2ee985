"""The address of a paid service and its key: read from the environment, checked before anything is asked or loaded."""

import os
import urllib.parse

from crosswalk.errors import UserError

KEY_VARIABLE = "OPENAI_API_KEY"
URL_VARIABLE = "OPENAI_BASE_URL"
DEFAULT_URL = "https://api.openai.com/v1"


def service_address(base_url, *, at):
    """The address of a service, without a slash at its end.

    base_url: of the config, None for the variable OPENAI_BASE_URL, then OpenAI's; at: the config's key that holds the
    settings. Raises UserError, which does not repeat the address, if it carries a password or a query.
    """
    url = (base_url or os.environ.get(URL_VARIABLE) or DEFAULT_URL).rstrip("/")
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or parts.username is not None or parts.query:
        raise UserError(
            f"{at}.base_url: must be an http or https address without user name, password or query. "
            f"Put the key in {KEY_VARIABLE}."
        )
    return url


def service_key(*, at, instead):
    """The key in the environment.

    at: the config's key that holds the settings; instead: value of its `provider` that needs no key.
    Raises UserError, which does not repeat the key, if there is none or it cannot be one.
    """
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not key:
        raise UserError(
            f"{at}.provider openai: the environment variable {KEY_VARIABLE} is not set. Export your key in it "
            f"(any word will do for a service that asks for none), or set {at}.provider to {instead}."
        )
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise UserError(f"the environment variable {KEY_VARIABLE} holds a character that no key has. Set it again.")
    return key
