"""Models in onnxruntime, on any of its execution providers."""

import os

# With telemetry on, onnxruntime writes a device id and a database into the user's cache on import, and looks
# for a host. sewd imports it only after this line; a variable that is set already is left as it is.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
