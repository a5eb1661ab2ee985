"""The one exception for what a user can mend."""


class UserError(Exception):
    """Says what is wrong, where (file, line or config key), and what to do.

    Anything else that is raised is a bug and keeps its traceback.
    """
