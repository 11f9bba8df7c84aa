"""Arguments: a config.pbtxt. Prints it as JSON, read by Triton's own schema."""

import sys
from pathlib import Path

from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2

config = text_format.Parse(Path(sys.argv[1]).read_text(), model_config_pb2.ModelConfig())
print(json_format.MessageToJson(config, indent=None))
