"""One module for each command: ``HELP``, ``EPILOG``, ``add_arguments(parser)`` and ``run(options)``.

What several of them share stands in ``_shared.py`` and ``_files.py``. A command returns its exit code.
"""
