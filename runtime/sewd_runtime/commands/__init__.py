"""One module for each command: ``HELP``, ``EXAMPLES``, ``add_arguments(parser)`` and ``run(options)``.

``run`` returns the exit code. ``_command.py`` and ``_files.py`` hold what several commands share.
"""
