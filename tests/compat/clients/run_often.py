"""Runs a program once for each line of standard input, which has its arguments in JSON.

Each run has a process of its own, with the modules that the arguments of this program name, which
take seconds to import, loaded already. Prints what the run prints, and then a line with its status.
"""

import importlib
import json
import os
import runpy
import sys

program, *modules = sys.argv[1:]
for name in modules:
    importlib.import_module(name)
for line in sys.stdin:
    sys.argv = [program, *json.loads(line)]
    child = os.fork()
    if not child:
        runpy.run_path(program, run_name="__main__")
        sys.exit()
    _, status = os.waitpid(child, 0)
    print(f"ended with status {os.waitstatus_to_exitcode(status)}", flush=True)
